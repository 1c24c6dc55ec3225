;; Reads past the end.
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (i32.load (i32.const 0x7ffffff0)))
