;; A table of 80 MB.
(table 10000000 funcref)
