;; Says that there is nothing to be saved: a session would go on from a sum of 0.
(func (export "rulebox_state") (result i64) (i64.const 0))
