;; A data segment past the end of the memory.
(data (i32.const 131070) "over")
