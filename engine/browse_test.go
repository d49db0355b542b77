package engine_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// TestDiffAndFind compare two backups with what the test itself saw of the source, and find a file that came and went.
func TestDiffAndFind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.removeLikelySecrets()
	if _, err := r.engine().Diff("", ""); engine.CodeOf(err) != engine.CodeNoRepository {
		t.Errorf("diff without a repository: %v", err)
	}
	notes := filepath.Join(r.fix.Root, "claude", "notes.md")
	write(t, notes, []byte("one\n"))
	before := snapshotTree(t, r.fix.Root)
	first := r.backup()
	if _, err := r.engine().Diff("", ""); engine.CodeOf(err) != engine.CodeUnknownBackup {
		t.Errorf("diff with one backup: %v", err)
	}
	r.day(1)
	write(t, notes, []byte("two, longer\n"))
	after := snapshotTree(t, r.fix.Root)
	second := r.backup()

	d, err := r.engine().Diff("", "")
	if err != nil {
		t.Fatal(err)
	}
	if d.A != first.BackupID || d.B != second.BackupID {
		t.Errorf("compared %s with %s", d.A, d.B)
	}
	r.diffAgrees(d, before, after, first.Manifest, second.Manifest)
	turned, err := r.engine().Diff(second.BackupID, first.BackupID)
	if err != nil || !slices.EqualFunc(d.Files, turned.Files, func(x, y engine.DiffFile) bool { return x.Path == y.Path && x.Change == y.Change }) {
		t.Errorf("in the other order it is another answer: %v", err)
	}
	if same, err := r.engine().Diff(second.BackupID, second.BackupID); err != nil || len(same.Files)+len(same.Components)+same.Touched > 0 {
		t.Errorf("a backup differs from itself: %+v, %v", same, err)
	}
	if err := d.Keep([]string{"nonsense"}); err == nil {
		t.Error("kept an unknown component")
	}

	remove(t, notes)
	third := r.backup()
	fourth := r.backup()
	found, err := r.engine().Find("notes.md")
	if err != nil || len(found.Files) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	f := found.Files[0]
	if f.Path != "claude/notes.md" || f.InLatest || f.Last != second.BackupID || len(f.Versions) != 2 || *f.Versions[0].SizeBytes != 12 || *f.Versions[1].SizeBytes != 4 {
		t.Errorf("found %+v", f)
	}
	// What never changed is one run of all backups.
	found, err = r.engine().Find("claude/../CLAUDE.md")
	if err != nil || len(found.Files) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	found, err = r.engine().Find("README.md")
	if err != nil || len(found.Files) == 0 || len(found.Files[0].Versions) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if v := found.Files[0].Versions[0]; v.First != first.BackupID || v.Last != fourth.BackupID || v.Backups != 4 || !found.Files[0].InLatest {
		t.Errorf("found %+v", v)
	}
	r.unreadable(third.BackupID)
}

// unreadable spoils a backup's file list in both copies: find searches the others and says so, diff refuses.
func (r *rig) unreadable(id string) {
	r.t.Helper()
	for _, dir := range []string{r.repo(), r.mirror()} {
		path := filepath.Join(dir, id, repository.FilesName)
		if err := os.Truncate(path, 20); err != nil {
			r.t.Fatal(err)
		}
	}
	found, err := r.engine().Find("README.md")
	if err != nil || len(found.NotSearched) != 1 || found.NotSearched[0].BackupID != id || len(found.Backups) != 3 {
		r.t.Errorf("with a spoiled list: %+v, %v", found, err)
	}
	var damaged *engine.Error
	if _, err := r.engine().Diff("", id); !errors.As(err, &damaged) {
		r.t.Errorf("diff with a spoiled list: %v", err)
	}
}

// diffAgrees compares a diff with two looks at the source. The kinds of database files and folders' times are not compared.
func (r *rig) diffAgrees(d *engine.Diff, before, after map[string]string, first, second *repository.Manifest) {
	r.t.Helper()
	skip := func(path string) bool {
		for _, m := range []*repository.Manifest{first, second} {
			if slices.ContainsFunc(m.Coverage.Secrets, func(s repository.SecretRef) bool { return string(s.Path) == path }) {
				return true
			}
		}
		return path == "." || r.excluded(path)
	}
	content := func(s string) string { // "mode time… sha" of a file without its time
		f := strings.Fields(s)
		return f[0] + " " + f[len(f)-1]
	}
	want := map[string]string{}
	for path, was := range before {
		now, there := after[path]
		switch {
		case skip(path):
		case !there:
			want[path] = engine.DiffRemoved
		case content(was) != content(now):
			want[path] = engine.DiffChanged
		}
	}
	for path := range after {
		if _, there := before[path]; !there && !skip(path) {
			want[path] = engine.DiffAdded
		}
	}
	got := map[string]string{}
	for _, f := range d.Files {
		if f.Component == component.Code || f.Component == component.DataSmall || f.Component == component.DataLarge {
			got[string(f.Path)] = f.Change
		}
	}
	for path, change := range want {
		if got[path] != change {
			r.t.Errorf("%s is %s, the diff says %q", path, change, got[path])
		}
	}
	for path := range got {
		if want[path] == "" {
			r.t.Errorf("%s did not change, the diff says %s", path, got[path])
		}
	}
	if len(want) < 10 {
		r.t.Errorf("only %d differences: this proves little", len(want))
	}
}

// TestBrowsingTellsNoSecret: a secret that grows changes nothing that diff and find say.
func TestBrowsingTellsNoSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.sealed(testPassword); err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(r.fix.Root, ".env")
	credentials := filepath.Join(r.fix.Root, "claude/tools/production_api_credentials.py")
	for _, path := range []string{env, credentials} {
		write(t, path, append(read(t, path), "\nFRESH_API_KEY=\"sk-ant-api03-Zx81Qm4TtLr0Vn7PbYc2\"\n"...))
	}
	second, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.engine().Diff("", "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Sealed < 4 {
		t.Errorf("%d secret-bearing files in both", d.Sealed)
	}
	for _, f := range d.Files {
		if f.Component != component.SystemMetadata {
			t.Errorf("the diff tells of %+v", f)
		}
	}
	for _, c := range d.Components {
		if c.Name != component.SystemMetadata {
			t.Errorf("the diff tells of %+v", c)
		}
	}
	secrets := map[string]bool{}
	for _, s := range second.Manifest.Coverage.Secrets {
		secrets[s.Component+"/"+string(s.Path)] = true
	}
	found, err := r.engine().Find("**")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range found.Files {
		if !secrets[f.Component+"/"+string(f.Path)] {
			continue
		}
		seen++
		b, err := json.Marshal(f.Versions)
		if err != nil || len(f.Versions) != 1 || f.Versions[0].Backups != 2 || f.Versions[0].SizeBytes != nil || strings.Contains(string(b), "mtime") {
			t.Errorf("find tells of %s: %s", f.Path, b)
		}
	}
	if seen < 4 {
		t.Errorf("found %d secret-bearing files", seen)
	}
	// Without a vault the files leave it, and still nobody learns how long they are.
	r.backup()
	if d, err = r.engine().Diff("", ""); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, f := range d.Files {
		if secrets[f.Component+"/"+string(f.Path)] {
			moved++
			if f.Type != engine.DiffSecret || f.BeforeBytes != nil || f.AfterBytes != nil {
				t.Errorf("the diff tells of %+v", f)
			}
		}
	}
	if moved < 4 {
		t.Errorf("%d secret-bearing files left the vault", moved)
	}
}
