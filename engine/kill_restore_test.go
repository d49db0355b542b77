package engine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// contents maps every file and link below dir to what is in it.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.Type()&fs.ModeSymlink != 0 {
			to, _ := os.Readlink(path)
			out[rel] = "-> " + to
			return nil
		}
		sum, _, err := repository.HashFile(path)
		out[rel] = sum.String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// makeTarget fills a folder as somebody's half-old Maia: things equal, things that differ, strangers, and kinds that
// changed.
func (r *rig) makeTarget(to string) {
	r.t.Helper()
	mkdir(r.t, to)
	for _, dir := range []string{"claude", "claude/agents", "claude/data", "claude/context"} {
		mkdir(r.t, filepath.Join(to, dir))
	}
	copyTree(r.t, filepath.Join(r.fix.Root, "CLAUDE.md"), filepath.Join(to, "CLAUDE.md")) // equal
	for name, body := range map[string]string{
		"README.md": "another readme", "claude/data/servicedesk_tickets.db": "not a database", "claude/data/servicedesk_tickets.db-wal": "a stale journal",
		"claude/agents/stranger.md": "mine", "claude/tools": "a file where a folder belongs", "notes.txt": "a stranger",
	} {
		write(r.t, filepath.Join(to, name), []byte(body))
	}
	if err := os.Symlink("../elsewhere", filepath.Join(to, "claude/commands")); err != nil {
		r.t.Fatal(err)
	}
	mkdir(r.t, filepath.Join(filepath.Dir(to), "elsewhere"))
	write(r.t, filepath.Join(filepath.Dir(to), "elsewhere", "precious"), []byte("outside the target"))
}

// TestKilledRestore kills a restore into a target where much is in the way. Run again it ends in the same state, and
// whatever lay in the target is there still, or beside it.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2", "24")
	k := newKiller(t, 40)
	m := k.backup().Manifest
	template := filepath.Join(k.base, "template")
	mkdir(t, template)
	k.makeTarget(filepath.Join(template, "maia"))
	before := contents(t, template)
	fresh := func() string {
		place := filepath.Join(k.base, "place")
		remove(t, place)
		copyTree(t, template, place)
		return filepath.Join(place, "maia")
	}
	// What an undisturbed one leads to.
	to := fresh()
	calls := k.calls(orders{Mac: k.mac(), Verb: "restore", Backup: m.BackupID, To: to})
	want := snapshotTree(t, to)
	k.sameSource(want, m)
	shelf := k.scene()
	for _, n := range k.moments(calls, 9, k.rnd) {
		faults.Inject()
		to := fresh()
		k.kill(orders{Verb: "restore", Backup: m.BackupID, To: to}, n, len(calls), func() {
			k.survived(shelf)
			k.nothingLost(before, filepath.Dir(to))
			k.clock = k.clock.Add(time.Minute)
			a, lived, last := run(t, orders{Mac: k.mac(), Verb: "restore", Backup: m.BackupID, To: to})
			if !lived || a.Code != "" {
				t.Fatalf("the restore after the killed one: %+v %s", a, last)
			}
			k.nothingLost(before, filepath.Dir(to))
			got := snapshotTree(t, to)
			for path, what := range want {
				if got[path] != what {
					t.Errorf("%q is %q, after an undisturbed restore %q", path, got[path], what)
				}
			}
			for path, what := range got {
				if want[path] == "" {
					t.Errorf("%q, %s, is not there after an undisturbed restore", path, what)
				}
			}
			if len(entries(t, filepath.Join(k.state, "scratch"))) > 0 {
				t.Error("scratch is not empty")
			}
		})
	}
	k.recovered(true)
}

// sameSource compares a restored tree with the source: what the backup holds is there as it was.
func (r *rig) sameSource(got map[string]string, m *repository.Manifest) {
	r.t.Helper()
	secret := map[string]bool{}
	for _, s := range m.Coverage.Secrets {
		secret[string(s.Path)] = true
	}
	for path, want := range snapshotTree(r.t, r.fix.Root) {
		if path != "." && !r.excluded(path) && !secret[path] && got[path] != want {
			r.t.Errorf("%q: restored %q, the original is %q", path, got[path], want)
		}
	}
}

// nothingLost checks that everything that lay in the target, or where a link in it led, is still somewhere: in its
// place, in a folder of things in the way, or there again because it is equal.
func (r *rig) nothingLost(before map[string]string, place string) {
	r.t.Helper()
	now := contents(r.t, place)
	for path, what := range before {
		if now[path] == what {
			continue
		}
		rel := strings.TrimPrefix(path, "maia/")
		found := false
		for other, is := range now {
			aside, rest, ok := strings.Cut(other, "/")
			found = found || ok && strings.HasPrefix(aside, "maia.before-restore-") && rest == rel && is == what
		}
		if !found {
			r.t.Errorf("%s, which lay in the target, is gone", path)
		}
	}
}
