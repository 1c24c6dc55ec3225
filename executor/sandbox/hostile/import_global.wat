(import "env" "__stack_pointer" (global (mut i32)))
