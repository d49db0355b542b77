package engine_test

import "testing"

// TestNoMac: where there is no xcode-select, no package is installed.
func TestNoMac(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	w.run = brewOnly
	w.backup()
	w.tool("brew", "echo \"brew $*\" >> '"+w.log+"'")
	if res, said, err := w.restore(nil); err != nil || !res.Done || res.Phases != nil || said != "" || w.logged() != "" {
		t.Fatalf("%v %+v %q", err, res, said)
	}
}
