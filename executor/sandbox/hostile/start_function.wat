(func $begin)
(start $begin)
