;; Reaches its own maximum, sees -1 and copes: nobody's business but its own.
(memory (export "memory") 2 3)
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (drop (memory.grow (i32.const 1)))
  (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
  (i32.const 0))
