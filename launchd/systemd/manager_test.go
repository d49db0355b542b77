package systemd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/schedule"
)

// session is a user manager behind systemctl.
type session struct {
	absent, off bool // no systemctl; no manager
	fails       string
	active      map[string]bool
	calls       []string
}

func (s *session) run(_ context.Context, name string, args ...string) (int, error) {
	s.calls = append(s.calls, strings.Join(args, " "))
	switch {
	case s.absent:
		return 0, errors.Join(fs.ErrNotExist)
	case name != systemctl || args[0] != "--user":
		return 64, nil
	case s.off, args[1] == s.fails:
		return 1, nil
	}
	unit := args[len(args)-1]
	switch args[1] {
	case "start", "restart":
		s.active[unit] = true
	case "disable", "stop":
		delete(s.active, unit)
	case "is-active":
		if !s.active[unit] {
			return 3, nil
		}
	}
	return 0, nil
}

func newManager(t *testing.T) (*session, Manager) {
	s := &session{active: map[string]bool{}}
	return s, Manager{Config: filepath.Join(t.TempDir(), ".config"), Run: s.run}
}

func left(t *testing.T, m Manager) (names []string) {
	t.Helper()
	err := filepath.WalkDir(m.Config, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

func TestManager(t *testing.T) {
	s, m := newManager(t)
	if st, err := m.Status(t.Context(), label); err != nil || st.File != "" || st.Loaded {
		t.Errorf("%+v, %v", st, err)
	}
	j := job("/opt/maia-dr")
	res, err := m.Install(t.Context(), j)
	if err != nil || !res.Changed || len(res.Files) != 2 || res.Note != "" {
		t.Fatalf("%+v, %v", res, err)
	}
	st, err := m.Status(t.Context(), label)
	if err != nil || !st.Loaded || !st.Ours || !slices.Equal(st.At, j.At) || !slices.Equal(st.Program, j.Program) {
		t.Errorf("%+v, %v", st, err)
	}
	s.calls = nil
	if res, err = m.Install(t.Context(), j); err != nil || res.Changed || slices.Contains(s.calls, "--user restart "+label+".timer") {
		t.Errorf("%+v, %v after %q", res, err, s.calls)
	}
	delete(s.active, label+".timer")
	if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || !strings.Contains(st.Why, "does not run") {
		t.Errorf("%+v, %v", st, err)
	}
	if removed, err := m.Remove(t.Context(), label, true); err != nil || !removed || len(s.active) > 0 || len(left(t, m)) > 0 {
		t.Errorf("%v, %v, %v", removed, err, left(t, m))
	}
	if removed, err := m.Remove(t.Context(), label, true); err != nil || removed {
		t.Errorf("%v, %v", removed, err)
	}
}

// Without a user manager the units are written, and begin with the next login; without systemd nothing is.
func TestUnreachable(t *testing.T) {
	s, m := newManager(t)
	s.off = true
	res, err := m.Install(t.Context(), job("/opt/maia-dr"))
	if err != nil || !strings.Contains(res.Note, "next login") {
		t.Fatalf("%+v, %v", res, err)
	}
	if target, err := os.Readlink(m.wants(label)); err != nil || target != m.path(label, ".timer") {
		t.Errorf("%s, %v", target, err)
	}
	if _, err := m.Install(t.Context(), job("/opt/maia-dr")); err != nil {
		t.Errorf("once more: %v", err)
	}
	if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || !st.Ours || st.Why != unreachable {
		t.Errorf("%+v, %v", st, err)
	}
	s.absent = true
	if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || st.Why != ErrNone.Error() {
		t.Errorf("%+v, %v", st, err)
	}
	if removed, err := m.Remove(t.Context(), label, true); err != nil || !removed || len(left(t, m)) > 0 {
		t.Errorf("%v, %v, %v", removed, err, left(t, m))
	}
	if _, err := m.Install(t.Context(), job("/opt/maia-dr")); !errors.Is(err, ErrNone) || len(left(t, m)) > 0 {
		t.Errorf("%v, %v", err, left(t, m))
	}
}

func TestRefused(t *testing.T) {
	for _, verb := range []string{"daemon-reload", "enable", "restart"} {
		s, m := newManager(t)
		s.fails = verb
		if res, err := m.Install(t.Context(), job("/opt/maia-dr")); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), verb) || res == nil {
			t.Errorf("%s: %+v, %v", verb, res, err)
		}
	}
}

func TestForeign(t *testing.T) {
	_, m := newManager(t)
	if err := m.write(file{m.path(label, ".service"), []byte("[Service]\nExecStart=/usr/bin/other\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Install(t.Context(), job("/opt/maia-dr")); !errors.Is(err, ErrForeign) {
		t.Errorf("%v", err)
	}
	if _, err := m.Remove(t.Context(), label, true); !errors.Is(err, ErrForeign) || len(left(t, m)) != 1 {
		t.Errorf("%v", err)
	}
}

// What a desktop starts at login needs no systemd; in another home only files are written.
func TestAutostartAndElsewhere(t *testing.T) {
	s, m := newManager(t)
	s.absent = true
	j := schedule.Job{Label: "com.maia.recovery-menu", Description: "x", Program: []string{"/opt/maia-dr", "tray"}}
	if res, err := m.Install(t.Context(), j); err != nil || !res.Changed {
		t.Errorf("%+v, %v", res, err)
	}
	if st, err := m.Status(t.Context(), j.Label); err != nil || !st.Loaded || !st.Ours {
		t.Errorf("%+v, %v", st, err)
	}
	if removed, err := m.Remove(t.Context(), j.Label, true); err != nil || !removed || len(left(t, m)) > 0 {
		t.Errorf("%v, %v", removed, err)
	}
	m.Elsewhere = true
	if res, err := m.Install(t.Context(), job("/opt/maia-dr")); err != nil || res.Note == "" || len(s.calls) > 0 {
		t.Errorf("%+v, %v after %q", res, err, s.calls)
	}
	if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || st.Why == "" {
		t.Errorf("%+v, %v", st, err)
	}
}
