package onedrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A test's helper is this test binary, called so.
const fakeHelper = "fake-helper"

func TestMain(m *testing.M) {
	if os.Args[0] == fakeHelper {
		os.Exit(helperMain())
	}
	os.Exit(m.Run())
}

// helperMain is a helper that behaves as the names of its files say.
func helperMain() int {
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		return 1
	}
	enc := json.NewEncoder(os.Stdout)
	for i, path := range req.Paths {
		k := Keys{Ubiquitous: Yes, Uploaded: Yes, Uploading: No}
		switch name := filepath.Base(path); {
		case strings.HasPrefix(name, "crash"):
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		case strings.HasPrefix(name, "hang"):
			time.Sleep(time.Hour)
		case strings.HasPrefix(name, "garbage"):
			fmt.Println("*** Terminating app due to uncaught exception {\"path\":0}")
			return 0
		case strings.HasPrefix(name, "silent"):
			k = Keys{}
		case strings.HasPrefix(name, "pending"):
			k.Uploaded = No
		case strings.HasPrefix(name, "signedout"):
			k = Keys{Ubiquitous: Yes, ErrorDomain: domainFileProvider, ErrorCode: -1000}
		}
		if enc.Encode(reply{Path: i, Done: true, Keys: &k}) != nil {
			return 1
		}
	}
	return 0
}

func testHelper(t *testing.T) Helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Helper{Path: self, Args: []string{fakeHelper}}
}

// fakeTool is a fileproviderctl that does what a file's name says, and a ps.
const fakeTool = `#!/bin/sh
case "$1" in
-xww) printf '%s\n' /sbin/launchd "/Applications/OneDrive.app/Contents/MacOS/OneDrive"; exit ;;
esac
[ "$1" = evaluate ] && [ -n "$2" ] || kill -SEGV $$
size=$(($(wc -c < "$2")))
say() { printf '    documentSize = %s;\n    filename = "%s";\n    isUploaded = %s;\n    isUploading = %s;\n' "$1" "${2##*/}" "$3" "$4"; }
case "${2##*/}" in
*crash*) say "$size" x 1 0; kill -SEGV $$ ;;
*huge*) while :; do say "$size" x 1 0; done ;;
*hang*) say "$size" x 1 0; while :; do :; done ;;
*othersize*) say $((size + 1)) x 1 0; echo Actions: ;;
*cutoff*) say "$size" x 1 0 ;;
*notyet*) say "$size" x 0 0; echo Actions: ;;
*uploading*) say "$size" x 0 1; echo Actions: ;;
*empty*) ;;
*fails*) say "$size" x 1 0; echo Actions:; exit 3 ;;
*) say "$size" "$2" 1 0; echo Actions: ;;
esac
`

// toolProvider is a FileProvider whose helper and tools are the fakes.
func toolProvider(t *testing.T) *FileProvider {
	t.Helper()
	script := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(script, []byte(fakeTool), 0o700); err != nil {
		t.Fatal(err)
	}
	return &FileProvider{Helper: testHelper(t), Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if name != "/usr/bin/fileproviderctl" && name != "/bin/ps" {
			return nil, fmt.Errorf("%s is not to be run", name)
		}
		return RunTool(ctx, "/bin/sh", append([]string{script}, args...)...)
	}}
}

// Whatever the helper and the tool do, a file is called uploaded only where one of them says so in full.
func TestFileProvider(t *testing.T) {
	dir := t.TempDir()
	p := toolProvider(t)
	cases := []struct {
		name string
		rung Rung
	}{
		{"plain.gz", ClientUploaded}, {"pending.gz", Pending}, {"crash-crash.gz", Unknown}, {"after.gz", ClientUploaded},
		{"crash-tool-knows.gz", Unknown}, {"garbage-notyet.gz", Pending}, {"silent.gz", ClientUploaded}, {"silent-crash.gz", Unknown},
		{"silent-huge.gz", Unknown}, {"silent-othersize.gz", Unknown}, {"silent-cutoff.gz", Unknown}, {"silent-notyet.gz", Pending},
		{"silent-uploading.gz", Uploading}, {"silent-empty.gz", Unknown}, {"silent-fails.gz", Unknown},
		{"silent isUploaded = 1;.gz", Unknown}, {"silent Actions:", ClientUploaded}, {"silent\nActions:\n", Unknown}, {"last.gz", ClientUploaded},
	}
	var paths []string
	for _, c := range cases {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.name), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	obs, health, err := Look(t.Context(), p, dir, paths)
	if err != nil || health.Running != Yes || health.SignedIn != TriUnknown {
		t.Fatalf("%+v %v", health, err)
	}
	for i, c := range cases {
		if obs[i].Rung != c.rung || c.rung == Unknown && obs[i].Detail == "" {
			t.Errorf("%q: %s (%s), want %s", c.name, obs[i].Rung, obs[i].Detail, c.rung)
		}
	}
	signedOut := filepath.Join(dir, "signedout.gz")
	if err := os.WriteFile(signedOut, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	obs, health, err = Look(t.Context(), p, dir, []string{signedOut})
	if err != nil || health.SignedIn != No || obs[0].Class != SignedOut || obs[0].Rung != Pending {
		t.Errorf("%+v %+v %v", obs, health, err)
	}
}

// A fileproviderctl that hangs is asked once a look.
func TestFileProviderToolHangs(t *testing.T) {
	p := toolProvider(t)
	p.toolLimit = 200 * time.Millisecond
	asked, run := 0, p.Run
	p.Run = func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if args[0] == "evaluate" {
			asked++
		}
		return run(ctx, name, args...)
	}
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"silent-hang.gz", "silent.gz", "silent-too.gz"} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	answers, err := p.Observe(t.Context(), paths)
	if err != nil || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	for i, a := range answers {
		if a.Rung != Unknown || a.Detail == "" {
			t.Errorf("%s: %+v", paths[i], a)
		}
	}
}

// A file on which the helper dies costs itself only, a helper that dies always is given up, one that hangs is killed.
func TestHelperDies(t *testing.T) {
	h := testHelper(t)
	var paths []string
	for i := range 12 {
		paths = append(paths, fmt.Sprintf("/x/crash%d", i))
	}
	keys, err := h.keys(t.Context(), append([]string{"/x/a"}, paths...), time.Minute)
	if err != nil || keys[0].Answer().Rung != ClientUploaded {
		t.Fatalf("%+v %v", keys, err)
	}
	tooOften := 0
	for _, k := range keys[1:] {
		if k.Problem == "" || k.Answer().Rung != Unknown {
			t.Errorf("%+v", k)
		}
		if strings.Contains(k.Problem, "too often") {
			tooOften++
		}
	}
	if tooOften != len(paths)-maxCrashes {
		t.Errorf("%d were given up", tooOften)
	}
	keys, err = h.keys(t.Context(), []string{"/x/hang", "/x/hang"}, 300*time.Millisecond)
	if err != nil || !strings.Contains(keys[0].Problem, errStalled.Error()) || !strings.Contains(keys[1].Problem, "does not answer") {
		t.Errorf("%+v %v", keys, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.keys(ctx, []string{"/x/hang"}, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := (Helper{}).keys(t.Context(), []string{"/x"}, time.Hour); !errors.Is(err, ErrNoHelper) {
		t.Error(err)
	}
	if _, err := (Helper{Path: "/no/such/program", Args: []string{"x"}}).keys(t.Context(), []string{"/x"}, time.Hour); err != nil {
		t.Error("a helper that cannot be started is no answer, and no error:", err)
	}
}

func TestKeysAnswer(t *testing.T) {
	all := []Tri{TriUnknown, Yes, No}
	uploaded := 0
	for _, u := range all {
		for _, up := range all {
			for _, ing := range all {
				for _, ex := range all {
					for _, domain := range []string{"", domainFileProvider, "unknown"} {
						for _, problem := range []string{"", "it crashed"} {
							k := Keys{Ubiquitous: u, Uploaded: up, Uploading: ing, Excluded: ex, ErrorDomain: domain, ErrorCode: -1, Problem: problem}
							may := u == Yes && up == Yes && ing != Yes && ex != Yes && domain == "" && problem == ""
							if got := k.Answer(); (got.Rung >= ClientUploaded) != may {
								t.Errorf("%+v: %+v", k, got)
							}
							if may {
								uploaded++
							}
						}
					}
				}
			}
		}
	}
	if uploaded == 0 {
		t.Error("nothing was called uploaded")
	}
	for _, c := range Classes() {
		found := c == FolderGone || c == NotRunning || c == Differs // not told by File Provider
		for domain, codes := range errorClasses {
			for code, class := range codes {
				if class != c {
					continue
				}
				found = true
				if a := (Keys{Ubiquitous: Yes, Uploaded: Yes, ErrorDomain: domain, ErrorCode: code}).Answer(); a.Class != c || a.Rung != Pending {
					t.Errorf("%s %d: %+v", domain, code, a)
				}
			}
		}
		if !found {
			t.Errorf("no error means %s", c)
		}
	}
}

func TestOneDriveRuns(t *testing.T) {
	for list, want := range map[string]Tri{
		"": TriUnknown, " \n": TriUnknown, "/sbin/launchd\n": No,
		"/Applications/OneDrive.app/Contents/MacOS/OneDrive\n":                                                             Yes,
		"/sbin/launchd\n/Users/me/Applications/OneDrive.app/Contents/MacOS/OneDrive":                                       Yes,
		"/Applications/OneDrive.app/Contents/OneDrive Sync Service.app/Contents/MacOS/OneDrive Sync Service\n":             No,
		"/Applications/OneDrive.app/Contents/PlugIns/OneDrive File Provider.appex/Contents/MacOS/OneDrive File Provider\n": No,
		"/Applications/NotOneDrive.app/Contents/MacOS/OneDrive\n":                                                          No,
		"/Applications/OneDrive.app/Contents/MacOS/OneDrive Helper\nOneDrive\n/OneDrive.app/Contents/MacOS/OneDrive.old\n": No,
	} {
		if got := oneDriveRuns([]byte(list)); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func TestAskable(t *testing.T) {
	for path, want := range map[string]bool{"/a b/ü.gz": true, "": false, "a": false, "-x": false, "/a\nb": false, "/a\x00": false, "/\xff": false, "/a\x7f": false} {
		if askable(path) != want {
			t.Errorf("%q", path)
		}
	}
}

// What a helper says is read for what it is, and hashes and downloads work as a child too.
func TestRunHelper(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a")
	if err := os.WriteFile(a, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{jobHash, jobDownload} {
		in, err := json.Marshal(request{Job: job, Paths: []string{a, filepath.Join(dir, "none")}})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := RunHelper(strings.NewReader(string(in)), &out); err != nil {
			t.Fatal(err)
		}
		var replies []reply
		for line := range strings.Lines(out.String()) {
			var r reply
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			replies = append(replies, r)
		}
		done := slices.DeleteFunc(slices.Clone(replies), func(r reply) bool { return !r.Done })
		if len(done) != 2 || done[0].Bytes != 3<<20 || len(done[0].SHA256) != 64 || done[1].Errno != int(syscall.ENOENT) || len(replies) < 4 {
			t.Errorf("%s: %+v", job, replies)
		}
	}
	for _, bad := range []string{"", "{", `{"job":"format"}`, `{"job":"observe","paths":["/x"]}`} {
		if err := RunHelper(strings.NewReader(bad), &strings.Builder{}); err == nil && bad != `{"job":"observe","paths":["/x"]}` {
			t.Errorf("%q is taken for a request", bad)
		}
	}
}
