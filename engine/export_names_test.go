package engine

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/repository"
)

// Databases whose names differ in case only, or become equal with their folders in them, have files of their own each.
func TestArchiveNames(t *testing.T) {
	data := func(path string) repository.Database {
		return repository.Database{Path: repository.Name(path), Extents: repository.Extents{{Length: 1}}}
	}
	x := &export{view: &view{e: new(Engine)}, m: &repository.Manifest{Components: map[string]*repository.Component{
		"maia_code": {Stream: "tar"},
		"maia_data_large": {Databases: []repository.Database{
			data("x/Data.db"), data("y/data.db"), data("x/a.db"), data("y/a.db"), data("y_a.db"), data("Y_A.db"), data("z/maia_code.tar.gz"),
		}},
	}}}
	expected := map[string]bool{"README.txt": true}
	names := x.archiveNames(expected)
	lower := map[string]bool{}
	for name := range expected {
		lower[strings.ToLower(name)] = true
	}
	if len(names) != 8 || len(lower) != 9 {
		t.Errorf("%d files of %d streams: %q", len(lower)-1, len(names), slices.Sorted(maps.Keys(expected)))
	}
}
