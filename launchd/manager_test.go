package launchd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"maia-dr/engine/fixture"
	"maia-dr/engine/schedule"
)

const label = "com.maia.disaster-recovery"

func backupJob() schedule.Job {
	return schedule.Job{Label: label, Description: "Back up Maia", Background: true,
		Program: []string{"/Applications/Maia Recovery.app/Contents/MacOS/maia-dr", "backup", "--scheduled"},
		At:      []schedule.Clock{{Hour: 3}, {Hour: 9}, {Hour: 22, Minute: 30}}}
}

func menuJob() schedule.Job {
	return schedule.Job{Label: "com.maia.recovery-menu", Program: []string{"/Applications/Maia Recovery.app/Contents/MacOS/maia-dr", "tray"}}
}

// inSession runs a test in which time passes at once.
func inSession(t *testing.T, test func(t *testing.T, s *session, m Manager)) {
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t)
		test(t, s, Manager{Home: home, UID: 501, Run: s.run})
	})
}

func TestInstall(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		st, err := m.Status(t.Context(), label)
		if err != nil || st.File != "" || st.Loaded || st.Why != "" {
			t.Errorf("before: %+v, %v", st, err)
		}
		res, err := m.Install(t.Context(), backupJob())
		if err != nil || !res.Changed || len(res.Changes) > 0 || !slices.Equal(res.Files, []string{m.File(label)}) {
			t.Fatalf("%+v, %v", res, err)
		}
		st, err = m.Status(t.Context(), label)
		if err != nil || !st.Loaded || !st.Ours || st.Old || st.Why != "" || !slices.Equal(st.Program, backupJob().Program) || !slices.Equal(st.At, backupJob().At) {
			t.Errorf("%+v, %v", st, err)
		}

		// Once more: its run, if there is one, is not ended.
		s.calls = nil
		if res, err = m.Install(t.Context(), backupJob()); err != nil || res.Changed || s.count("launchctl bootout") > 0 {
			t.Errorf("%+v, %v after %v", res, err, s.calls)
		}
		// Unloaded by hand: loaded again, although the file is as it was.
		delete(s.loaded, label)
		if res, err = m.Install(t.Context(), backupJob()); err != nil || res.Changed || s.loaded[label] == "" {
			t.Errorf("%+v, %v", res, err)
		}
		// Another time of day: it is loaded anew, after it has gone.
		j := backupJob()
		j.At[0].Hour = 4
		if res, err = m.Install(t.Context(), j); err != nil || !res.Changed || len(res.Changes) != 1 || !strings.Contains(s.loaded[label], "<integer>4</integer>") {
			t.Errorf("%+v, %v", res, err)
		}
		if fi, err := os.Stat(m.File(label)); err != nil || fi.Mode().Perm() != 0o644 {
			t.Errorf("%v, %v", fi, err)
		}
	})
}

// What the person looks at is not ended by a change.
func TestInstallMenu(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		j := menuJob()
		if _, err := m.Install(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		j.Program = append(j.Program, "--quiet")
		if res, err := m.Install(t.Context(), j); err != nil || !res.Changed || !strings.Contains(res.Note, "next login") || s.count("launchctl bootout") != 1 {
			t.Errorf("%+v, %v after %v", res, err, s.calls)
		}
		if removed, err := m.Remove(t.Context(), j.Label, false); err != nil || !removed || s.loaded[j.Label] == "" {
			t.Errorf("%v, %v", removed, err)
		}
		if st, err := m.Status(t.Context(), j.Label); err != nil || st.File != "" || !st.Loaded {
			t.Errorf("%+v, %v", st, err)
		}
		if removed, err := m.Remove(t.Context(), j.Label, true); err != nil || !removed || s.loaded[j.Label] != "" {
			t.Errorf("%v, %v", removed, err)
		}
	})
}

func TestRemove(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		if removed, err := m.Remove(t.Context(), label, true); removed || err != nil {
			t.Errorf("what is not there: %v, %v", removed, err)
		}
		if _, err := m.Install(t.Context(), backupJob()); err != nil {
			t.Fatal(err)
		}
		if removed, err := m.Remove(t.Context(), label, true); !removed || err != nil || s.draining[label] > 0 || len(s.loaded) > 0 {
			t.Errorf("%v, %v, %+v", removed, err, s)
		}
		if left, err := os.ReadDir(filepath.Dir(m.File(label))); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// Every code of launchctl that is known, at every step: what it means for installing and removing, and that the file is
// written or removed whatever launchd says.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		verb            string
		exit            int
		install, remove error
	}{
		{"enable", 125, ErrNoDesktop, nil},
		{"bootout", 3, nil, nil}, {"bootout", 36, nil, nil}, {"bootout", 113, nil, nil}, {"bootout", 5, ErrBusy, ErrBusy}, {"bootout", 122, ErrOwner, ErrOwner},
		{"bootout", 125, ErrNoDesktop, nil}, {"bootout", 1, ErrRefused, ErrRefused},
		{"print", 0, ErrBusy, ErrBusy}, {"print", 125, ErrNoDesktop, nil},
		{"bootstrap", 5, ErrBusy, nil}, {"bootstrap", 37, nil, nil}, {"bootstrap", 119, ErrDisabled, nil}, {"bootstrap", 122, ErrOwner, nil}, {"bootstrap", 125, ErrNoDesktop, nil},
	} {
		inSession(t, func(t *testing.T, s *session, m Manager) {
			s.answers = map[string]int{c.verb: c.exit}
			_, err := m.Install(t.Context(), backupJob())
			if !errors.Is(err, c.install) || (err == nil) != (c.install == nil) {
				t.Errorf("install, %s exits with %d: %v, want %v", c.verb, c.exit, err, c.install)
			}
			if _, err := os.Stat(m.File(label)); err != nil {
				t.Errorf("install, %s exits with %d: %v", c.verb, c.exit, err)
			}
			removed, err := m.Remove(t.Context(), label, true)
			if !removed || !errors.Is(err, c.remove) || (err == nil) != (c.remove == nil) {
				t.Errorf("remove, %s exits with %d: %v, want %v", c.verb, c.exit, err, c.remove)
			}
			if _, err := os.Stat(m.File(label)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("remove, %s exits with %d: the file is still there: %v", c.verb, c.exit, err)
			}
		})
	}
}

// Without a desktop session the file is written and removed all the same, and what launchd does is not known.
func TestNoDesktop(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		s.desktop = false
		if res, err := m.Install(t.Context(), backupJob()); !errors.Is(err, ErrNoDesktop) || res == nil || !res.Changed {
			t.Errorf("%+v, %v", res, err)
		}
		if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || !st.Ours || !strings.Contains(st.Why, "desktop") {
			t.Errorf("%+v, %v", st, err)
		}
		if removed, err := m.Remove(t.Context(), label, true); err != nil || !removed {
			t.Errorf("%v, %v", removed, err)
		}
		if removed, err := m.Remove(t.Context(), label, true); err != nil || removed {
			t.Errorf("once more: %v, %v", removed, err)
		}
		if _, err := os.Stat(m.File(label)); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
}

// In another home nothing is asked of launchd.
func TestElsewhere(t *testing.T) {
	m := Manager{Home: t.TempDir(), UID: 501, Elsewhere: true, Run: func(_ context.Context, name string, args ...string) (int, error) {
		t.Errorf("%s %v was run", name, args)
		return 0, nil
	}}
	if res, err := m.Install(t.Context(), backupJob()); err != nil || res.Note == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if st, err := m.Status(t.Context(), label); err != nil || st.Loaded || !st.Ours || st.Why == "" {
		t.Errorf("%+v, %v", st, err)
	}
	if removed, err := m.Remove(t.Context(), label, true); err != nil || !removed {
		t.Errorf("%v, %v", removed, err)
	}
}

// Somebody else's agent of the same name, and what is no property list, are left as they are.
func TestForeign(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		stranger := Agent{Label: label, Program: []string{"/usr/local/bin/other"}}
		foreign, err := stranger.Plist()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(m.File(label)), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{foreign, []byte("{ Label = x; }"), {}, []byte("<plist"), make([]byte, maxPlist+1)} {
			if err := os.WriteFile(m.File(label), b, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Install(t.Context(), backupJob()); err == nil {
				t.Errorf("%.30q was replaced", b)
			}
			if _, err := m.Remove(t.Context(), label, true); err == nil {
				t.Errorf("%.30q was removed", b)
			}
			if now := s.read(m.File(label)); string(now) != string(b) {
				t.Errorf("%.30q was changed", b)
			}
		}
		if s.count("launchctl bootout")+s.count("launchctl bootstrap") > 0 {
			t.Errorf("%v", s.calls)
		}
	})
}

// The plan's own agent becomes ours: the program and what is unsafe are replaced, no password stays, everything else is
// as it was.
func TestOverThePlan(t *testing.T) {
	inSession(t, func(t *testing.T, s *session, m Manager) {
		path := m.File(label)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(m.Home, "mac"), Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		planted, err := f.PlanAgent(path)
		if err != nil {
			t.Fatal(err)
		}
		before, err := parse(s.read(path))
		if err != nil {
			t.Fatal(err)
		}
		if st, err := m.Status(t.Context(), label); err != nil || st.Ours || !st.Old {
			t.Errorf("%+v, %v", st, err)
		}
		res, err := m.Install(t.Context(), backupJob())
		if err != nil || len(res.Changes) < 5 {
			t.Fatalf("%+v, %v", res, err)
		}
		now := s.read(path)
		after, err := parse(now)
		if err != nil || strings.Contains(string(now), planted.Value) || strings.Contains(strings.Join(res.Changes, "\n"), planted.Value) {
			t.Errorf("%v; the password is still there:\n%s", err, now)
		}
		env, _ := before["EnvironmentVariables"].(dict)
		delete(env, "MAIA_VAULT_PASSWORD")
		for key, was := range before {
			if slices.Contains([]string{"ProgramArguments", "StartCalendarInterval", "RunAtLoad", "StandardOutPath", "StandardErrorPath"}, key) {
				continue
			}
			if show(after[key]) != show(was) {
				t.Errorf("%s was %s and is %s", key, show(was), show(after[key]))
			}
			delete(after, key)
		}
		if len(env) == 0 || before["WorkingDirectory"] == nil {
			t.Errorf("the sample says too little: %v", before)
		}
	})
}

func TestRotateOutput(t *testing.T) {
	m := Manager{Home: t.TempDir()}
	if err := m.RotateOutput(label); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(m.LogDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, maxOut + 1, maxOut + 2} {
		if err := os.WriteFile(m.OutFile(label), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.RotateOutput(label); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(m.OutFile(label) + ".old")
		if (err == nil) != (size > maxOut) || err == nil && fi.Size() != int64(size) {
			t.Errorf("%d bytes: %v, %v", size, fi, err)
		}
	}
}
