;; Asks for everything.
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (drop (memory.grow (i32.const 65000)))
  (i32.const 0))
