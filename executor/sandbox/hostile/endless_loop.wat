;; Never leaves its loop.
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (loop $again (br $again))
  (i32.const 0))
