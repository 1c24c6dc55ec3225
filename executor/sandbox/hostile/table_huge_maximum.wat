;; Nothing can grow it, so what it could grow to does not matter.
(table 1 4294967295 funcref)
