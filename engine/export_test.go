package engine

import (
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// EstimateOf is what the engine says a restore of a backup would take, after these drills.
func (e *Engine) EstimateOf(d *state.Drills, m *repository.Manifest) Estimate {
	return e.estimate(d, m)
}

// Leaky makes an engine store secret-bearing files in the plain, as they are.
func (e *Engine) Leaky() *Engine {
	e.leaky = true
	return e
}

// InPieces makes exports cut databases into pieces of n bytes.
func (e *Engine) InPieces(n int64) *Engine {
	e.pieceBytes = n
	return e
}

// Slow says in what way a full drill took too long.
var Slow = slow

// FindMarker returns the name of the first marker in a file.
var FindMarker = findMarker
