package vault

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/fixture"
)

// kindOfAny is KindOf, with Python for any module.
func kindOfAny(path string) Kind {
	kind, ok := KindOf(filepath.ToSlash(path))
	if !ok && filepath.Ext(path) == ".py" {
		return Python
	}
	return kind
}

// TestEveryPlantedSecretIsFound looks into each file of the fixture: what was planted is found in its place, and nothing
// else is taken for a secret.
func TestEveryPlantedSecretIsFound(t *testing.T) {
	f, err := fixture.Make(t.Context(), fixture.Options{Base: t.TempDir() + "/f", Seed: 11})
	must(t, err)
	planted := map[string][]fixture.Planted{}
	for _, p := range f.Secrets {
		planted[p.Place] = append(planted[p.Place], p)
	}
	files, redacted := 0, 0
	must(t, filepath.WalkDir(f.Base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".db") {
			return err
		}
		b, err := os.ReadFile(path)
		must(t, err)
		kind := kindOfAny(path)
		found, err := Find(kind, b)
		if err != nil {
			t.Errorf("%s as %v: %v", path, kind, err)
			return nil
		}
		files++
		for _, p := range planted[path] {
			if !slices.ContainsFunc(found, func(s Secret) bool { return string(s.Value) == p.Value && s.Identifier != p.Secret }) {
				t.Errorf("%v: not found as %v among %v", p, kind, found)
			}
		}
		for _, s := range found {
			if !s.Identifier && !slices.ContainsFunc(planted[path], func(p fixture.Planted) bool { return string(s.Value) == p.Value && p.Secret }) {
				t.Errorf("%s as %v: %v is nothing that was planted", path, kind, s)
			}
		}
		if kind != Text {
			text, err := Find(Text, b)
			must(t, err)
			for _, s := range text {
				if !slices.ContainsFunc(planted[path], func(p fixture.Planted) bool {
					return strings.Contains(p.Value, string(s.Value)) || strings.Contains(string(s.Value), p.Value)
				}) {
					t.Errorf("%s as text: %v is nothing that was planted", path, s)
				}
			}
		}
		if kind.Redactable() && len(found) > 0 {
			redacted++
			checkRedacted(t, path, kind, b, found)
		}
		return nil
	}))
	if files < 100 || redacted < 10 || len(planted) < 10 {
		t.Errorf("only %d files, %d redacted, %d with secrets", files, redacted, len(planted))
	}
}

// checkRedacted redacts a file and looks for what must not, and what must be, in the copy.
func checkRedacted(t *testing.T, path string, kind Kind, b []byte, secrets []Secret) {
	t.Helper()
	out, err := Redact(kind, b, secrets)
	if err != nil {
		t.Errorf("%s as %v: %v", path, kind, err)
		return
	}
	for _, s := range secrets {
		if !s.Identifier && bytes.Contains(out, s.Value) {
			t.Errorf("%s: the value of %v is in the copy", path, s)
		}
		if s.Identifier && kind != Plist && !bytes.Contains(out, s.Value) && bytes.Contains(b, s.Value) {
			t.Errorf("%s: the identifier %v is not in the copy", path, s)
		}
		if !s.Identifier && !bytes.Contains(out, []byte(Placeholder+s.Name)) {
			t.Errorf("%s: %v is not named in the copy", path, s)
		}
	}
	again, err := Redact(kind, out, secrets)
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("%s: redacted twice, it differs: %v", path, err)
	}
}

// TestLittleOfForeignCodeLooksSecret looks into the sources of Go's library, where the only secrets are keys of tests.
func TestLittleOfForeignCodeLooksSecret(t *testing.T) {
	var files, size int64
	hits := map[string]int{}
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	must(t, err)
	must(t, filepath.WalkDir(filepath.Join(strings.TrimSpace(string(goroot)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		must(t, err)
		files++
		size += int64(len(b))
		found, err := Find(Text, b)
		must(t, err)
		for _, s := range found {
			if name, _, _ := strings.Cut(s.Name, "~"); name != "private-key" || !strings.HasSuffix(path, "_test.go") && filepath.Ext(path) != ".pem" {
				t.Errorf("%s: %v", path, s)
			}
			hits[filepath.Base(path)]++
		}
		return nil
	}))
	if files < 5000 {
		t.Errorf("only %d files", files)
	}
	t.Logf("%d files, %d bytes, test keys in %v", files, size, hits)
}
