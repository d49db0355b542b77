package engine

import (
	"context"
	"fmt"

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

// CheckStreams reads all streams of a backup back, out of the chunks in a repository's folder.
func (e *Engine) CheckStreams(ctx context.Context, dir string, m *repository.Manifest, files []repository.File) error {
	groups, err := byStream(m, files, nil)
	if err != nil {
		return err
	}
	bad, problems, err := e.checkStreams(ctx, &repository.Source{Dirs: []string{dir}}, m, groups, nil)
	if err == nil && len(bad)+len(problems) > 0 {
		err = fmt.Errorf("%v %v", bad, problems)
	}
	return err
}
