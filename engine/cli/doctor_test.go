package cli

import (
	"testing"

	"maia-dr/engine"
)

// A check without a name for people would be shown as nothing.
func TestCheckTitles(t *testing.T) {
	for _, name := range engine.CheckNames() {
		if checkTitles[name] == "" {
			t.Errorf("%s has no title", name)
		}
	}
	if len(checkTitles) != len(engine.CheckNames()) {
		t.Errorf("%d titles for %d checks", len(checkTitles), len(engine.CheckNames()))
	}
}
