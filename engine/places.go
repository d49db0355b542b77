package engine

// Root returns the Maia root, as every command finds it.
func (e *Engine) Root() (string, error) { return e.findRoot() }
