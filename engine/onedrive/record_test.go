package onedrive

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is recorded has the shape of the answers, and nothing of the user's.
func TestRecord(t *testing.T) {
	home := filepath.Join(t.TempDir(), "Users", "naythan.secret", "Library", "CloudStorage", "OneDrive-ContosoSecret", "MaiaBackups", "chunks")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	p := toolProvider(t)
	run := p.Run
	p.Run = func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if name == "/usr/bin/sw_vers" {
			return []byte("ProductName:\tmacOS\nProductVersion:\t26.1\n"), nil
		}
		out, err := run(ctx, name, args...)
		return append([]byte("ownerName = \"Naythan Secret\";\n  free text of Secret\n"), out...), err
	}
	var paths []string
	for _, name := range []string{"pending.gz", "crash.gz", "silent.gz", "signedout.gz"} {
		paths = append(paths, filepath.Join(home, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := p.Record(t.Context(), paths)
	if err != nil || len(r.Files) != 4 || r.System != "ProductName: macOS ProductVersion: 26.1" {
		t.Fatalf("%+v %v", r, err)
	}
	for i, want := range []Rung{Pending, Unknown, Unknown, Pending} {
		if f := r.Files[i]; f.Taken != want.String() || len(f.Evaluate) == 0 || f.Name != "chunks/"+filepath.Base(paths[i]) {
			t.Errorf("%+v", f)
		}
	}
	if r.Files[1].Keys.Problem == "" || r.Files[3].Keys.ErrorCode != -1000 || r.Health.SignedIn != No || r.Health.Running != Yes {
		t.Errorf("%+v %+v", r.Files, r.Health)
	}
	if !slices.Contains(r.Programs, "/OneDrive.app/Contents/MacOS/OneDrive") {
		t.Errorf("programs: %q", r.Programs)
	}
	if !slices.Contains(r.Files[0].Evaluate, "ownerName = [16 characters];") || !slices.Contains(r.Files[0].Evaluate, "    isUploaded = 1;") {
		t.Errorf("%q", r.Files[0].Evaluate)
	}
	b, err := json.Marshal(r)
	if err != nil || strings.Contains(strings.ToLower(string(b)), "secret") {
		t.Errorf("something of the user's is in it: %s %v", b, err)
	}
}

// FuzzRedactEvaluate: of a line only its shape, its key and a number stay.
func FuzzRedactEvaluate(f *testing.F) {
	f.Add(evaluated)
	f.Add("a = \"b\";\nActions:\n  x = 1;\n")
	f.Add("key = 1; name\x00")
	f.Fuzz(func(t *testing.T, out string) {
		for _, line := range RedactEvaluate(out) {
			m := recordValue.FindStringSubmatch(line)
			if m != nil && (plainValue.MatchString(m[2]) || strings.HasSuffix(m[2], " characters]")) || shapeLine.MatchString(line) || strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
				continue
			}
			t.Errorf("%q stays", line)
		}
	})
}

func TestInCloudStorage(t *testing.T) {
	home := t.TempDir()
	cloud := filepath.Join(home, "Library", "CloudStorage", "OneDrive-Personal")
	for _, dir := range []string{filepath.Join(cloud, "Deep"), filepath.Join(home, "OneDrive"), filepath.Join(home, "Library", "CloudStorage", "Dropbox")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(cloud, filepath.Join(home, "OneDrive - Personal")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"Library/CloudStorage/OneDrive-Personal": true, "Library/CloudStorage/OneDrive-Personal/Deep": true, "OneDrive - Personal": true,
		"OneDrive": false, "Library/CloudStorage/Dropbox": false, "none": false,
	} {
		if inCloudStorage(filepath.Join(home, name)) != want {
			t.Errorf("%s: not %v", name, want)
		}
	}
}
