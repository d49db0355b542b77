package vault

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
