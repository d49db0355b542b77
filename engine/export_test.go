package engine

// Leaky makes an engine store secret-bearing files in the plain, as they are.
func (e *Engine) Leaky() *Engine {
	e.leaky = true
	return e
}

// Slow says in what way a full drill took too long.
var Slow = slow

// FindMarker returns the name of the first marker in a file.
var FindMarker = findMarker
