(memory 1)
