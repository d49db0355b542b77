package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// problem returns the text and the hint of a status problem, "" if it has none of that code.
func problem(s *engine.Status, code engine.Code) string {
	for _, p := range s.Problems {
		if p.Code == string(code) {
			return p.Text + "\n" + p.Hint
		}
	}
	return ""
}

// With several accounts the folder is asked for once. From then on the one with the backups is meant, and if that is
// replaced by a look-alike, vanishes or loses its repository, nothing is made in its place, and it is said where they are.
func TestFolderIsRemembered(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "9")
	r := newRig(t)
	first := r.fix.OneDrive
	second := filepath.Join(filepath.Dir(first), "OneDrive-Contoso")
	mkdir(t, second)
	r.fix.OneDrive = ""
	_, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	f, _ := r.engine().OneDriveFolder()
	if engine.CodeOf(err) != engine.CodeNoOneDrive || !errors.Is(err, onedrive.ErrSeveral) || len(f.Candidates) != 2 {
		t.Fatalf("two accounts: %v, %+v", err, f)
	}
	if _, err := os.Stat(r.state); err == nil {
		t.Error("a refused run made a state directory")
	}
	r.fix.OneDrive = first
	r.backup()
	r.fix.OneDrive = ""
	r.backup()
	if f, err := r.engine().OneDriveFolder(); err != nil || f.Path != first || f.Why != "used before" {
		t.Errorf("%+v %v", f, err)
	}

	// Without local state, as on a new Mac, the account that holds backups is meant.
	kept := r.state
	r.state = filepath.Join(r.base, "new")
	if f, err := r.engine().OneDriveFolder(); err != nil || f.Path != first {
		t.Errorf("%+v %v", f, err)
	}
	r.state = kept

	// The accounts are swapped: the folder that is remembered holds no backups, the other one does.
	swap := first + ".swap"
	for _, m := range [][2]string{{first, swap}, {second, first}, {swap, second}} {
		if err := os.Rename(m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshotTree(t, r.fix.Home)
	_, err = r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	var known *engine.Error
	if !errors.As(err, &known) || known.Code != engine.CodeRepositoryGone || !strings.Contains(known.Advice(), second) {
		t.Errorf("a look-alike: %v, %s", err, known.Advice())
	}
	st, err := r.engine().Status()
	if err != nil || !strings.Contains(problem(st, engine.CodeRepositoryGone), second) || st.Overall != engine.OverallAttention || st.Newest != nil && st.Newest.State == engine.StateComplete {
		t.Errorf("status: %v %+v", err, st)
	}
	// It vanishes.
	remove(t, first)
	delete(before, strings.TrimPrefix(first, r.fix.Home+"/"))
	_, err = r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	if !errors.As(err, &known) || known.Code != engine.CodeNoOneDrive || !strings.Contains(known.Advice(), second) {
		t.Errorf("it is gone: %v", err)
	}
	for path := range snapshotTree(t, r.fix.Home) {
		if _, ok := before[path]; !ok {
			t.Errorf("%s was made", path)
		}
	}
	// Named once, it is the one.
	r.fix.OneDrive = second
	r.backup()
	r.fix.OneDrive = ""
	if id, err := (state.Dir{Path: r.state}).PeekIdentity(); err != nil || id.OneDrivePath != second {
		t.Errorf("%+v %v", id, err)
	}
	r.backup()
}
