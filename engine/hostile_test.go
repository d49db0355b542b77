package engine_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/resources"
)

// fineTree maps every path below dir to its mode, its time to the nanosecond and its content. Folders that only lead
// to personal files have the time at which they were made.
func fineTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch mode := fi.Mode(); {
		case mode&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			out[rel] = fmt.Sprintf("-> %s %d", to, fi.ModTime().UnixNano())
			return err
		case mode.IsDir() && strings.HasPrefix(rel, engine.BesideDir):
			out[rel] = mode.String()
		case mode.IsDir():
			out[rel] = fmt.Sprintf("%v %d", mode, fi.ModTime().UnixNano())
		default:
			sum, _, err := repository.HashFile(path)
			out[rel] = fmt.Sprintf("%v %d %s", mode, fi.ModTime().UnixNano(), sum)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(out, ".")
	return out
}

// sameMaps fails the test if two trees differ, and tells of the first paths in which they do.
func sameMaps(t testing.TB, what string, want, got map[string]string) {
	t.Helper()
	var differ []string
	for path, w := range want {
		if got[path] != w {
			differ = append(differ, fmt.Sprintf("%q is %q, want %q", path, got[path], w))
		}
	}
	for path, g := range got {
		if _, ok := want[path]; !ok {
			differ = append(differ, fmt.Sprintf("%q, %q, should not be there", path, g))
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		t.Errorf("%s: %d differences:\n%s", what, len(differ), strings.Join(differ[:min(len(differ), 10)], "\n"))
	}
}

// restoreByScript restores with restore_maia.sh out of the repository.
func (r *rig) restoreByScript(repo, id, to string) string {
	r.t.Helper()
	script := filepath.Join(r.base, "restore_maia.sh")
	write(r.t, script, resources.RestoreScript)
	home := filepath.Join(r.base, "new-home")
	mkdirAll(r.t, home)
	cmd := exec.Command("bash", script, "--repository", repo, "--backup", id, "--to", to, "--yes")
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("restore_maia.sh: %v\n%s", err, out)
	}
	if left := entries(r.t, home); len(left) > 0 {
		r.t.Errorf("restore_maia.sh left %s in the home folder", left[0].Name())
	}
	return string(out)
}

// TestHostileNames: names that something on the way may take for code, options or patterns, odd modes, times, sizes,
// links and depths come back by both restores as they were.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "22")
	r := newRig(t)
	t.Cleanup(func() {
		if err := fixture.MakeRemovable(r.base); err != nil {
			t.Error(err)
		}
	})
	made, err := fixture.HostileNames(filepath.Join(r.fix.Root, "hostile"))
	if err != nil {
		t.Fatal(err)
	}
	before := r.scene()
	res := r.backup()
	for _, w := range res.Warnings {
		t.Errorf("%q: %s: %s", w.Path, w.Code, w.Text)
	}
	r.survived(before)
	r.verifyAll()

	byGo := filepath.Join(r.base, "by-go")
	got, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: res.BackupID, To: byGo})
	if err != nil || len(got.Failed)+len(got.Doubtful) > 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	byScript := filepath.Join(r.base, "by-script")
	r.restoreByScript(r.repo(), res.BackupID, byScript)

	source, goTree, scriptTree := fineTree(t, r.fix.Root), fineTree(t, byGo), fineTree(t, byScript)
	sameMaps(t, "the two restores", goTree, scriptTree)
	want, have := map[string]string{}, map[string]string{}
	for path, what := range source {
		if strings.HasPrefix(path, "hostile/") {
			want[path] = what
		}
	}
	for path, what := range goTree {
		if strings.HasPrefix(path, "hostile/") {
			have[path] = what
		}
	}
	sameMaps(t, "source and restore", want, have)
	if len(want) < len(made) || len(made) < 150 {
		t.Errorf("%d hostile things were made, %d compared", len(made), len(want))
	}
	r.sameAsSource(byGo, res.Manifest)
	r.sameAsSource(byScript, res.Manifest)
	for _, dir := range []string{r.base, byGo, byScript, r.fix.Root} {
		if _, err := os.Lstat(filepath.Join(dir, "pwned")); err == nil {
			t.Errorf("a name was run as code: there is %s/pwned", dir)
		}
	}
	// Once more, onto itself: all is equal, nothing moves.
	again, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: res.BackupID, To: byGo})
	if err != nil || again.Restored != 0 || again.MovedAside != "" {
		t.Errorf("restored again: %+v, %v", again, err)
	}
	sameMaps(t, "restored twice", goTree, fineTree(t, byGo))
}
