;; Traps in the setup.
(func (export "rulebox_reset") (unreachable))
