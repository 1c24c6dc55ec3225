;; A module may have this table, this run may not.
(table 3000 funcref)
