;; Declares 12 MiB: a module may, this run may not have it.
(memory (export "memory") 192)
