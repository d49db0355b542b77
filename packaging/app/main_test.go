package main

import (
	"archive/zip"
	"bytes"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the test be the tool that the script calls through "go run".
func TestMain(m *testing.M) {
	if args := os.Getenv("MAIA_TEST_APP"); args != "" {
		if err := run(os.Args[1:], os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// workshop is a folder with the script, in which go and Apple's tools write down how they are called. go builds a
// program that lies ready.
type workshop struct {
	t                *testing.T
	dir, bin, system string
}

func newWorkshop(t *testing.T, system string) *workshop {
	w := &workshop{t: t, dir: t.TempDir(), system: system}
	w.bin = filepath.Join(w.dir, "bin")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../make-app.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := image.NewNRGBA(image.Rect(0, 0, 512, 512))
	var icon bytes.Buffer
	if err := png.Encode(&icon, m); err != nil {
		t.Fatal(err)
	}
	w.put("packaging/make-app.sh", string(script), 0o755)
	w.put("LICENSE", "MIT\n", 0o644)
	w.put("resources/maia-dr.1", ".Dt MAIA-DR 1\n", 0o644)
	w.put("resources/icons/app.png", icon.String(), 0o644)
	w.put("main.go", "package main\n\nfunc main() { println(\"Maia\") }\n", 0o644)
	note := "printf '%s' \"${0##*/}\" >> \"$CALLS\"\nprintf ' %s' \"$@\" >> \"$CALLS\"\necho >> \"$CALLS\"\n"
	w.put("bin/uname", "#!/bin/sh\necho "+system+"\n", 0o755)
	w.put("bin/go", "#!/bin/bash\nset -e\n"+note+`if [ "$1" = run ]; then shift 2; MAIA_TEST_APP=1 exec "`+self+`" "$@"; fi
echo "$GOOS $GOARCH cgo=$CGO_ENABLED cc=$CC" >> "$CALLS"
while [ "$1" != -o ]; do shift; done
cp "built/$GOARCH" "$2"
`, 0o755)
	w.put("bin/codesign", "#!/bin/sh\n"+note+"exit ${CODESIGN_EXIT:-0}\n", 0o755)
	w.put("bin/xcrun", "#!/bin/sh\n"+note+"if [ \"$2\" = staple ]; then echo ticket > \"$3/Contents/CodeResources\"; fi\n", 0o755)
	w.put("bin/hdiutil", "#!/bin/sh\n"+note+"while [ $# -gt 1 ]; do if [ \"$1\" = -srcfolder ]; then ls \"$2\" >> \"$CALLS\"; fi; shift; done\necho image > \"$1\"\n", 0o755)
	for _, arch := range []string{"arm64", "amd64"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(w.dir, "built", arch), filepath.Join(w.dir, "main.go"))
		cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return w
}

func (w *workshop) put(name, content string, mode os.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		w.t.Fatal(err)
	}
}

// make runs the script and returns its output and the calls of tools.
func (w *workshop) make(wantExit int, env []string, args ...string) (out string, calls []string) {
	w.t.Helper()
	log := filepath.Join(w.dir, "calls")
	if err := os.RemoveAll(log); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), "bash", append([]string{filepath.Join(w.dir, "packaging", "make-app.sh")}, args...)...)
	cmd.Env = append([]string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "CALLS=" + log, "APP_ICON=resources/icons/app.png", "HOME=" + w.dir}, env...)
	b, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != wantExit {
		w.t.Fatalf("exit code %d, want %d\n%s", code, wantExit, b)
	}
	if text, err := os.ReadFile(log); err == nil {
		calls = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	return string(b), calls
}

func (w *workshop) inZip(name string) (names []string) {
	w.t.Helper()
	z, err := zip.OpenReader(filepath.Join(w.dir, "dist", name))
	if err != nil {
		w.t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	return names
}

func has(calls []string, prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return !strings.HasPrefix(c, prefix) }))
}

func (w *workshop) checkSums(names ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "shasum", "-a", "256", "--check", "SHA256SUMS")
	cmd.Dir = filepath.Join(w.dir, "dist")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), ": OK") != len(names) {
		w.t.Errorf("%v: %s", err, out)
	}
	for _, n := range names {
		if !strings.Contains(string(out), n+": OK") {
			w.t.Errorf("%s is not summed up: %s", n, out)
		}
	}
}

// On a Mac with nothing given it is signed ad hoc, and not notarised.
func TestMakeAppAdHoc(t *testing.T) {
	w := newWorkshop(t, "Darwin")
	_, calls := w.make(0, nil, "v1.2.3")
	for _, want := range []string{
		"darwin arm64 cgo=1 cc=clang -arch arm64 -mmacosx-version-min=12.3", "darwin amd64 cgo=1 cc=clang -arch x86_64 -mmacosx-version-min=12.3",
		"codesign --force --sign - --identifier com.maia.recovery dist/Maia Recovery.app", "codesign --verify --strict", "hdiutil create",
	} {
		if has(calls, want) != 1 {
			t.Errorf("%d times %q:\n%s", has(calls, want), want, strings.Join(calls, "\n"))
		}
	}
	if has(calls, "xcrun") > 0 || has(calls, "codesign --force --timestamp") > 0 || !slices.Contains(calls, "Applications") || !slices.Contains(calls, "Maia Recovery.app") {
		t.Errorf("%s", strings.Join(calls, "\n"))
	}
	w.checkSums("Maia-Recovery-1.2.3.zip", "Maia-Recovery-1.2.3.dmg")
	if names := w.inZip("Maia-Recovery-1.2.3.zip"); !slices.Contains(names, "Maia Recovery.app/Contents/MacOS/maia-dr") {
		t.Errorf("%q", names)
	}
	left, err := os.ReadDir(filepath.Join(w.dir, "dist"))
	if err != nil || len(left) != 4 {
		t.Errorf("%v, %v", left, err)
	}
	// Once more over what is there; and what codesign refuses is published nowhere.
	w.make(0, nil, "1.2.3")
	if err := os.RemoveAll(filepath.Join(w.dir, "dist")); err != nil {
		t.Fatal(err)
	}
	w.make(1, []string{"CODESIGN_EXIT=1"}, "1.2.3")
	if _, err := os.Stat(filepath.Join(w.dir, "dist", "SHA256SUMS")); err == nil {
		t.Error("checksums of what is not signed")
	}
}

// With an identity and credentials it is notarised, and the zip that is published has the ticket.
func TestMakeAppNotarised(t *testing.T) {
	w := newWorkshop(t, "Darwin")
	_, calls := w.make(0, []string{"CODESIGN_IDENTITY=Developer ID Application: Kim", "NOTARY_PROFILE=maia"}, "1.2.3")
	for _, want := range []string{
		"codesign --force --timestamp --options runtime --sign Developer ID Application: Kim --identifier com.maia.recovery dist/Maia Recovery.app",
		"codesign --force --timestamp --options runtime --sign Developer ID Application: Kim dist/Maia-Recovery-1.2.3.dmg",
		"xcrun notarytool submit dist/Maia-Recovery-1.2.3.zip --keychain-profile maia --wait", "xcrun stapler staple dist/Maia Recovery.app",
	} {
		if has(calls, want) != 1 {
			t.Errorf("%d times %q:\n%s", has(calls, want), want, strings.Join(calls, "\n"))
		}
	}
	if names := w.inZip("Maia-Recovery-1.2.3.zip"); !slices.Contains(names, "Maia Recovery.app/Contents/CodeResources") {
		t.Errorf("the zip has no ticket: %q", names)
	}
	out, calls := w.make(1, []string{"NOTARY_PROFILE=maia"}, "1.2.3")
	if !strings.Contains(out, "set CODESIGN_IDENTITY") || has(calls, "go") > 0 {
		t.Errorf("%s", out)
	}
}

// Elsewhere the layout can be looked at, and it says what it is not.
func TestMakeAppElsewhere(t *testing.T) {
	w := newWorkshop(t, "Linux")
	out, calls := w.make(0, nil, "0.0.0-dev")
	if !strings.Contains(out, "unsigned, without the Keychain") || has(calls, "codesign")+has(calls, "hdiutil") > 0 || has(calls, "darwin arm64 cgo=0 cc=") != 1 {
		t.Errorf("%s\n%s", out, strings.Join(calls, "\n"))
	}
	w.checkSums("Maia-Recovery-0.0.0-dev.zip")
	if out, _ := w.make(1, nil); !strings.Contains(out, "usage") {
		t.Errorf("%s", out)
	}
	if out, _ := w.make(1, nil, "latest"); !strings.Contains(out, "no version like 1.2.3") {
		t.Errorf("%s", out)
	}
}

func TestBrewAndIcon(t *testing.T) {
	w := newWorkshop(t, "Linux")
	t.Chdir(w.dir)
	w.put("a.zip", "zip", 0o644)
	w.put("a.tar.gz", "source", 0o644)
	if err := run([]string{"brew", "-version", "v1.2.3", "-repository", "kim/maia-dr", "-zip", "a.zip", "-source", "a.tar.gz", "-out", "brew"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"brew/Casks/maia-recovery.rb", "brew/Formula/maia-dr.rb"} {
		if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), "kim/maia-dr") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := run([]string{"icon", "app.icns", "resources/icons/app.png"}, nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("app.icns"); err != nil || !strings.HasPrefix(string(b), "icns") {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{nil, {"sing"}, {"icon"}, {"icon", "x.icns", "none"}, {"zip"}, {"bundle", "-icon", "none"}, {"checksums", "none"}, {"brew"}, {"bundle", "-flag"}} {
		if err := run(args, nil); err == nil {
			t.Errorf("%q is done", args)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "noon")
	if err := run([]string{"zip", "-out", "b.zip", "built"}, nil); err == nil {
		t.Error("a time that is none")
	}
}
