package bundle

import (
	"archive/zip"
	"bytes"
	"debug/macho"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"
)

// programs builds one small program for the two processors of a Mac: real Mach-O files.
func programs(t *testing.T) (arm, intel []byte) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"Maia\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(arch string) []byte {
		out := filepath.Join(dir, arch)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, source)
		cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return build("arm64"), build("amd64")
}

// TestBundle makes the application of two Mach-O files and looks at it with other people's eyes.
func TestBundle(t *testing.T) {
	arm, intel := programs(t)
	icon, err := Icon(picture(t, 512))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Maia Recovery.app", "Contents", "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	app, err := App{Version: "v1.2.3-rc.1", Programs: [][]byte{intel, arm}, Icon: icon, License: []byte("MIT\n")}.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	err = filepath.WalkDir(app, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fi, ierr := d.Info()
			if ierr != nil {
				return ierr
			}
			rel, _ := filepath.Rel(dir, path)
			names = append(names, fi.Mode().String()+" "+rel)
		}
		return err
	})
	want := []string{
		"-rw-r--r-- Maia Recovery.app/Contents/Info.plist", "-rwxr-xr-x Maia Recovery.app/Contents/MacOS/maia-dr", "-rw-r--r-- Maia Recovery.app/Contents/PkgInfo",
		"-rw-r--r-- Maia Recovery.app/Contents/Resources/LICENSE", "-rw-r--r-- Maia Recovery.app/Contents/Resources/app.icns",
		"-rw-r--r-- Maia Recovery.app/Contents/Resources/maia-dr.1",
	}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%v\n%s", err, strings.Join(names, "\n"))
	}

	program := filepath.Join(app, "Contents", "MacOS", "maia-dr")
	fat, err := macho.OpenFat(program)
	if err != nil {
		t.Fatal(err)
	}
	defer fat.Close()
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for i, thin := range [][]byte{intel, arm} {
		a := fat.Arches[i]
		if page := uint32(1) << a.Align; a.Offset%page != 0 || !bytes.Equal(b[a.Offset:a.Offset+a.Size], thin) {
			t.Errorf("%v: at %d, align %d", a.Cpu, a.Offset, a.Align)
		}
	}
	text, err := exec.CommandContext(t.Context(), "file", "--brief", program).Output()
	if err != nil || !strings.Contains(string(text), "universal binary with 2 architectures") || !strings.Contains(string(text), "x86_64") || !strings.Contains(string(text), "arm64") {
		t.Errorf("file says %s, %v", text, err)
	}

	var info struct {
		CFBundleIdentifier, CFBundleExecutable, CFBundleIconFile, CFBundleShortVersionString, CFBundleVersion, LSMinimumSystemVersion, CFBundlePackageType string
		LSUIElement                                                                                                                                        bool
		NSDocumentsFolderUsageDescription, NSFileProviderDomainUsageDescription                                                                            string
	}
	if _, err := plist.Unmarshal(otherPlist(t, filepath.Join(app, "Contents", "Info.plist")), &info); err != nil {
		t.Fatal(err)
	}
	if info.CFBundleIdentifier != "com.maia.recovery" || info.CFBundleExecutable != "maia-dr" || info.CFBundleIconFile != "app.icns" || info.CFBundleShortVersionString != "1.2.3" ||
		info.CFBundleVersion != "1.2.3" || info.LSMinimumSystemVersion != "12.3" || !info.LSUIElement || info.CFBundlePackageType != "APPL" ||
		info.NSDocumentsFolderUsageDescription == "" || info.NSFileProviderDomainUsageDescription == "" {
		t.Errorf("%+v", info)
	}
}

func TestUniversalRefuses(t *testing.T) {
	arm, intel := programs(t)
	fat, err := Universal(arm, intel)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("bundle_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if one, err := Universal(arm); err != nil || len(one) < len(arm) {
		t.Errorf("of one: %v", err)
	}
	for name, list := range map[string][][]byte{
		"none": nil, "twice the same": {arm, arm}, "joined already": {fat}, "a text": {intel, self}, "empty": {intel, {}}, "cut off": {intel, arm[:100]},
	} {
		if _, err := Universal(list...); err == nil {
			t.Errorf("%s is joined", name)
		}
	}
}

func TestNumbers(t *testing.T) {
	for version, want := range map[string]string{"1.2.3": "1.2.3", "v10.20.30": "10.20.30", "0.1.0-dev": "0.1.0", "1.2.3-rc.1": "1.2.3"} {
		if got, err := Numbers(version); err != nil || got != want {
			t.Errorf("%s: %s, %v", version, got, err)
		}
	}
	for _, version := range []string{"", "1.2", "1.2.3.4", "1.2.x", "1.2.3 ", "1.2.3\n", "latest", "1.2.3-"} {
		if got, err := Numbers(version); err == nil {
			t.Errorf("%q is %s", version, got)
		}
		if _, err := InfoPlist(version); err == nil {
			t.Errorf("%q gets an Info.plist", version)
		}
	}
}

// TestZip: the same bundle is the same zip, and what comes out of it is what went in, modes and links included.
func TestZip(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "Maia Recovery.app")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(app, "Contents", "MacOS"), 0o755), os.WriteFile(filepath.Join(app, "Contents", "MacOS", "maia-dr"), bytes.Repeat([]byte("x"), 9000), 0o755),
		os.WriteFile(filepath.Join(app, "Contents", "Info.plist"), []byte("plist"), 0o644), os.Symlink("MacOS/maia-dr", filepath.Join(app, "Contents", "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	when := time.Date(2026, 5, 5, 3, 0, 0, 0, time.UTC)
	var first, second bytes.Buffer
	if err := Zip(&first, app, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(app, "Contents", "Info.plist"), when.AddDate(1, 0, 0), when.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := Zip(&second, app, when); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("another zip: %v", err)
	}
	z, err := zip.NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = f.Mode().String() + " " + string(b[:min(len(b), 20)])
	}
	for name, want := range map[string]string{
		"Maia Recovery.app/": "drwxr-xr-x ", "Maia Recovery.app/Contents/MacOS/maia-dr": "-rwxr-xr-x " + strings.Repeat("x", 20),
		"Maia Recovery.app/Contents/Info.plist": "-rw-r--r-- plist", "Maia Recovery.app/Contents/link": "Lrwxrwxrwx MacOS/maia-dr",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if err := Zip(io.Discard, filepath.Join(dir, "none"), when); err == nil {
		t.Error("of nothing")
	}
}

// TestBrew: what Homebrew gets is Ruby, and names the file that was summed up.
func TestBrew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ZipName("v1.2.3"))
	if err := os.WriteFile(path, []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	sums, err := Checksums(path)
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "shasum", "-a", "256", "--check", "-")
	check.Dir, check.Stdin = dir, strings.NewReader(sums)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	sum, other := sums[:64], strings.Repeat("a", 64)
	r := Release{Version: "1.2.3", Repository: "kim/maia-dr", ZipSHA256: sum, SourceSHA256: other}
	for name, c := range map[string]struct {
		fill func() ([]byte, error)
		want []string
	}{
		"cask": {r.Cask, []string{`sha256 "` + sum + `"`, `version "1.2.3"`, "https://github.com/kim/maia-dr/releases/download/v#{version}/Maia-Recovery-#{version}.zip",
			`binary "#{appdir}/Maia Recovery.app/Contents/MacOS/maia-dr"`, `manpage "#{appdir}/Maia Recovery.app/Contents/Resources/maia-dr.1"`}},
		"formula": {r.Formula, []string{`sha256 "` + other + `"`, "tags/v1.2.3.tar.gz", `"go" => :build`, `man1.install "resources/maia-dr.1"`}},
	} {
		b, err := c.fill()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("the %s lacks %q:\n%s", name, want, b)
			}
		}
		if strings.Contains(string(b), "MaiaBackups") || strings.Contains(string(b), "CloudStorage") {
			t.Errorf("the %s touches the backups", name)
		}
		cmd := exec.CommandContext(t.Context(), "ruby", "-wc")
		cmd.Stdin = bytes.NewReader(b)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "Syntax OK" {
			t.Errorf("ruby says of the %s: %v: %s", name, err, out)
		}
	}
	for name, spoil := range map[string]func(*Release){
		"a trial": func(r *Release) { r.Version = "1.2.3-rc.1" }, "a v": func(r *Release) { r.Version = "v1.2.3" }, "code": func(r *Release) { r.Repository = `a/b"; system("x")` },
		"no sum": func(r *Release) { r.ZipSHA256 = "" }, "not one": func(r *Release) { r.ZipSHA256 = strings.Repeat("g", 64) },
	} {
		bad := r
		spoil(&bad)
		if b, err := bad.Cask(); err == nil {
			t.Errorf("%s:\n%s", name, b)
		}
	}
	if _, err := Checksums(filepath.Join(dir, "none")); err == nil {
		t.Error("the sum of nothing")
	}
}
