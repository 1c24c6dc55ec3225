(memory 2)
(func (export "memory"))
