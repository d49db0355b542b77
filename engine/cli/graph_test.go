package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fixture"
	"maia-dr/engine/onedrive/graph"
	"maia-dr/keychain"
	"maia-dr/resources"
)

// drive is a Microsoft Graph whose drive is a folder, and lies about files as the test says.
type drive struct {
	dir string
	// visible, size, hash and content say what the cloud has of a file; nil: what is in the folder.
	visible func(name string) bool
	size    func(name string, n int64) int64
	hash    func(name, sum string) string
	content func(name string, b []byte) []byte
	busy    int
}

func (d *drive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/login/"):
		answer(200, map[string]any{"token_type": "Bearer", "access_token": "SECRET-access", "refresh_token": "SECRET-refresh", "expires_in": 3600})
		return
	case r.Header.Get("Authorization") != "Bearer SECRET-access":
		answer(401, nil)
		return
	case d.busy > 0:
		d.busy--
		w.Header().Set("Retry-After", "0")
		answer(429, nil)
		return
	case r.URL.Path == "/v1/me/drive":
		answer(200, map[string]any{"driveType": "personal", "owner": map[string]any{"user": map[string]any{"displayName": "Naythan"}}})
		return
	}
	path, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/me/drive/root:/"), ":/")
	if what == "content" {
		b, err := os.ReadFile(filepath.Join(d.dir, path))
		if err != nil || d.visible != nil && !d.visible(path) {
			answer(404, nil)
			return
		}
		if d.content != nil {
			b = d.content(path, b)
		}
		w.Write(b)
		return
	}
	entries, err := os.ReadDir(filepath.Join(d.dir, path))
	if err != nil {
		answer(404, nil)
		return
	}
	value := []any{}
	for _, e := range entries {
		if !e.IsDir() {
			value = d.list(value, path+"/"+e.Name())
		}
	}
	answer(200, map[string]any{"value": value})
}

func (d *drive) list(value []any, path string) []any {
	if d.visible != nil && !d.visible(path) {
		return value
	}
	b, err := os.ReadFile(filepath.Join(d.dir, path))
	if err != nil {
		return value
	}
	n := int64(len(b))
	if d.size != nil {
		n = d.size(path, n)
	}
	sum, _, _ := graph.QuickXorHash(bytes.NewReader(b))
	if d.hash != nil {
		sum = d.hash(path, sum)
	}
	return append(value, map[string]any{"name": filepath.Base(path), "size": n, "file": map[string]any{"hashes": map[string]any{"quickXorHash": sum}}})
}

// graphRig is a sample Maia with a backup, a drive that has it, and the command line.
type graphRig struct {
	t     *testing.T
	fix   *fixture.Fixture
	env   engine.Env
	store keychain.Store
	drive *drive
	url   string
	said  strings.Builder // everything that was ever written
}

// run runs the command line in this process.
func (r *graphRig) run(args ...string) (exit int, out string) {
	var stdout, stderr bytes.Buffer
	exit = cli.Run(r.t.Context(), cli.Program{
		Env: r.env, Version: "0.1.0-test", Script: resources.RestoreScript, Args: args, In: strings.NewReader(""), Out: &stdout, Err: &stderr,
		OpenTTY:  func() (io.ReadWriteCloser, error) { return nil, errors.New("no terminal") },
		Keychain: func(string) keychain.Store { return r.store },
		Graph:    graph.Options{GraphURL: r.url + "/v1", LoginURL: r.url + "/login"},
		OpenURL: func(_ context.Context, address string) error {
			u, err := url.Parse(address)
			if err != nil {
				return err
			}
			go func() {
				q := url.Values{"state": {u.Query().Get("state")}, "code": {"SECRET-code"}}
				if res, err := http.Get(u.Query().Get("redirect_uri") + "/?" + q.Encode()); err == nil {
					res.Body.Close()
				}
			}()
			return nil
		},
	})
	r.said.Write(stdout.Bytes())
	r.said.Write(stderr.Bytes())
	return exit, stdout.String() + stderr.String()
}

// want fails the test unless a command exits so and says all that.
func (r *graphRig) want(exit int, say []string, args ...string) {
	r.t.Helper()
	got, out := r.run(args...)
	if got != exit {
		r.t.Errorf("%v exited with %d, want %d:\n%s", args, got, exit, out)
	}
	for _, s := range say {
		if !strings.Contains(out, s) {
			r.t.Errorf("%v does not say %q:\n%s", args, s, out)
		}
	}
}

func newGraphRig(t *testing.T) *graphRig {
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	r := &graphRig{t: t, fix: fix, env: engine.SystemEnv(), store: keychain.NewMemory(), drive: &drive{dir: fix.OneDrive}}
	r.env.Home, r.env.Cwd = fix.Home, base
	r.env.Getenv = func(name string) string {
		return map[string]string{"MAIA_DR_STATE_DIR": filepath.Join(base, "state"), "MAIA_ROOT": fix.Root}[name]
	}
	server := httptest.NewServer(r.drive)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// configure sets the client id.
func (r *graphRig) configure() {
	r.t.Helper()
	dir := filepath.Join(r.fix.Home, ".config", "maia-dr")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte("[onedrive]\ngraph_client_id = \"an-id\"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// The whole way to the highest rung, and everything that keeps a file from it.
func TestGraph(t *testing.T) {
	r := newGraphRig(t)
	for _, name := range []string{"login", "logout", "check"} {
		r.want(2, []string{"graph_client_id is not set", "docs/onedrive.md"}, "onedrive", name)
	}
	r.configure()
	r.want(1, []string{"there is no backup"}, "onedrive", "check")
	r.want(0, nil, "backup", "--no-vault")
	r.want(1, []string{"not logged in", "maia-dr onedrive login"}, "onedrive", "check")
	r.want(0, []string{"Logged in: Naythan, OneDrive personal"}, "onedrive", "login")
	if s, err := r.store.Get(t.Context(), keychain.Item{Service: keychain.Service, Account: "onedrive"}); err != nil || string(s.Bytes()) != "SECRET-refresh" {
		t.Errorf("in the Keychain: %v", err)
	}
	chunk := func(name string) bool { return strings.HasPrefix(name, "MaiaBackups/chunks/") }

	// Nothing is there yet; then the chunks are not.
	r.drive.visible = func(string) bool { return false }
	r.want(1, []string{"not visible", "wait until OneDrive has uploaded"}, "onedrive", "check")
	r.drive.visible = func(name string) bool { return !chunk(name) }
	r.want(3, []string{"not visible yet: chunks/"}, "onedrive", "check")
	r.want(0, []string{"local_only"}, "onedrive", "status")
	r.drive.visible = nil

	// No hash, and no evidence.
	r.drive.hash = func(name, sum string) string {
		if chunk(name) {
			return ""
		}
		return sum
	}
	r.want(3, []string{"no hash in the cloud: chunks/"}, "onedrive", "check")
	r.want(0, []string{"local_only"}, "onedrive", "status")

	// Another hash, another size, other bytes under the right hash.
	for name, lie := range map[string]func(){
		"its quickXorHash in the cloud is another": func() {
			r.drive.hash = func(name, sum string) string {
				if chunk(name) {
					return "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
				}
				return sum
			}
		},
		"bytes in the cloud": func() {
			r.drive.size = func(name string, n int64) int64 {
				if chunk(name) {
					return n + 1
				}
				return n
			}
		},
		"its SHA-256 is another": func() {
			r.drive.content = func(name string, b []byte) []byte {
				if chunk(name) {
					b[len(b)/2] ^= 1
				}
				return b
			}
		},
	} {
		r.drive.hash, r.drive.size, r.drive.content = nil, nil, nil
		lie()
		r.want(1, []string{"DIFFERS: chunks/", name}, "onedrive", "check", "--sample", "100")
		r.want(3, []string{"blocked", "other bytes"}, "onedrive", "status")
		r.want(3, []string{"the cloud has a file of this name with other bytes"}, "status")
	}
	r.drive.hash, r.drive.size, r.drive.content = nil, nil, nil

	// All of it agrees, though Microsoft is busy now and then.
	r.drive.busy = 3
	r.want(0, []string{"Verified in the cloud", "Account: Naythan"}, "onedrive", "check", "--sample", "2")
	r.want(0, []string{"cloud_verified", "verified in the cloud"}, "onedrive", "status")
	exit, out := r.run("onedrive", "check", "--json", "--sample", "0")
	var got engine.CloudCheck
	if err := json.Unmarshal([]byte(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]), &got); err != nil || exit != 0 || got.Verified != got.Files || got.Files == 0 || got.Sampled != 0 {
		t.Errorf("%d, %v, %+v", exit, err, got)
	}

	// Another account, with a repository of its own.
	r.drive.content = func(name string, b []byte) []byte {
		if strings.HasSuffix(name, "repository.json") {
			return []byte(`{"repository_id":"another"}`)
		}
		return b
	}
	r.want(1, []string{"another one than that of the OneDrive folder", "onedrive logout"}, "onedrive", "check")
	r.want(0, nil, "onedrive", "logout")
	r.want(0, nil, "onedrive", "logout")
	r.want(1, []string{"not logged in"}, "onedrive", "check")
	r.want(2, []string{"cannot be negative"}, "onedrive", "check", "--sample", "-1")

	log, err := os.ReadFile(filepath.Join(r.env.Getenv("MAIA_DR_STATE_DIR"), "log", "maia-dr.log"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"output": r.said.String(), "log": string(log)} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("a secret stands in the %s", what)
		}
	}
	if err := filepath.WalkDir(r.env.Getenv("MAIA_DR_STATE_DIR"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("SECRET-")) {
			return fmt.Errorf("%s: %v, or it holds a secret", path, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
