(memory (export "memory") (export "rulebox_abi_1") 2)
