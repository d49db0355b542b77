package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fixture"
	"maia-dr/keychain"
	"maia-dr/resources"
	"maia-dr/tray/notify"
)

// services are a health check and a webhook, and a screen, that remember what they are told.
type services struct {
	mu     sync.Mutex
	pings  []string
	posts  []string // event and key
	shown  []string
	answer int
}

func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest, ok := strings.CutPrefix(r.URL.Path, "/ping/"+addressToken); ok {
		s.pings = append(s.pings, rest)
	} else {
		var m struct{ Event, Key string }
		if b, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(b, &m) != nil {
			s.posts = append(s.posts, "damaged "+string(b))
		}
		s.posts = append(s.posts, strings.TrimSpace(m.Event+" "+m.Key))
	}
	if s.answer != 0 {
		w.WriteHeader(s.answer)
	}
}

func (s *services) screen(_ context.Context, m notify.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = append(s.shown, strings.TrimSpace(m.Event+" "+m.Key))
	return nil
}

// take returns what came since the last call.
func (s *services) take() (pings, posts, shown []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pings, posts, shown = s.pings, s.posts, s.shown
	s.pings, s.posts, s.shown = nil, nil, nil
	return pings, posts, shown
}

const addressToken = "t0k3n-0f-the-service-a1b2c3"

// Backups tell the health check of each run, and whoever is to be told of what began and what is over, once. Services that
// are broken change nothing of a backup. No output, log or state has the token.
func TestBackupsAreToldOf(t *testing.T) {
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(base, "state")
	svc := new(services)
	srv := httptest.NewServer(svc)
	defer srv.Close()
	store := keychain.NewMemory()
	var said bytes.Buffer
	var later time.Duration
	run := func(in string, args ...string) int {
		t.Helper()
		env := engine.SystemEnv()
		env.Now = func() time.Time { return time.Now().Add(later) }
		env.Getenv = func(name string) string {
			if name == "PATH" {
				return base // no tools there: listing Python's packages takes seconds
			}
			return ""
		}
		return cli.Run(t.Context(), cli.Program{
			Env: env, Version: "0.1.0-test", Script: resources.RestoreScript, In: strings.NewReader(in), Out: &said, Err: &said,
			Keychain: func(string) keychain.Store { return store }, Screen: svc.screen, Scheduler: testScheduler,
			Args: append([]string{"--home", fix.Home, "--maia-root", fix.Root, "--state-dir", state, "--config", filepath.Join(base, "config.toml")}, args...),
		})
	}
	want := func(what string, pings, posts, shown []string) {
		t.Helper()
		gotPings, gotPosts, gotShown := svc.take()
		if !slices.Equal(gotPings, pings) || !slices.Equal(gotPosts, posts) || !slices.Equal(gotShown, shown) {
			t.Errorf("%s:\npings %q, want %q\nposts %q, want %q\nshown %q, want %q", what, gotPings, pings, gotPosts, posts, gotShown, shown)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "config.toml"), []byte("[notify]\nsuccess = true\nhealthcheck = true\nwebhook = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The addresses are missing yet: that changes nothing of a backup, and the screen is told all the same.
	if exit := run("", "backup", "--no-vault", "--quiet"); exit != 0 {
		t.Fatal(exit, said.String())
	}
	want("without addresses", nil, nil, []string{"completed"})
	for name, path := range map[string]string{"healthcheck": "/ping/", "webhook": "/hook/"} {
		if exit := run("ftp://example.com/"+addressToken, "notify", "set", name, "--address-file", "-"); exit != 2 {
			t.Errorf("a bad address was taken: %d", exit)
		}
		if exit := run(srv.URL+path+addressToken+"\n", "notify", "set", name, "--address-file", "-"); exit != 0 {
			t.Fatal(exit, said.String())
		}
	}
	if exit := run("", "notify", "test"); exit != 0 {
		t.Error(exit, said.String())
	}
	want("test", []string{""}, []string{"test"}, []string{"test"})
	if exit := run("", "backup", "--no-vault", "--quiet"); exit != 0 {
		t.Fatal(exit, said.String())
	}
	want("a backup", []string{"/start", ""}, []string{"completed"}, []string{"completed"})

	// The next day, for which there is no backup yet, the repository is gone for two runs: each is a failure to the health check, the owner is told once.
	later = 24 * time.Hour
	repo := filepath.Join(fix.OneDrive, "MaiaBackups")
	if err := os.Rename(repo, repo+".away"); err != nil {
		t.Fatal(err)
	}
	for n, told := range [][]string{{"problem backup_failed:repository_gone"}, nil} {
		if exit := run("", "backup", "--no-vault", "--quiet", "--scheduled"); exit != 1 {
			t.Errorf("failure %d: exit %d", n, exit)
		}
		want("a failure", []string{"/start", "/fail"}, told, told)
	}
	if err := os.Rename(repo+".away", repo); err != nil {
		t.Fatal(err)
	}
	svc.answer = http.StatusInternalServerError
	if exit := run("", "backup", "--no-vault", "--quiet"); exit != 0 {
		t.Error("broken services failed a backup:", exit, said.String())
	}
	want("a backup with broken services", []string{"/start", ""}, []string{"restored", "completed"}, []string{"restored", "completed"})
	if exit := run("", "notify", "test"); exit != 1 || !strings.Contains(said.String(), "the service answered 500") {
		t.Error("a broken service passed the test:", exit, said.String())
	}
	for _, name := range []string{"healthcheck", "webhook"} {
		if exit := run("", "notify", "delete", name); exit != 0 {
			t.Error(exit, said.String())
		}
	}
	if exit := run("", "notify", "delete", "webhook"); exit != 1 {
		t.Error("what is not there was deleted:", exit)
	}

	if strings.Contains(said.String(), addressToken) {
		t.Errorf("the token was shown:\n%s", said.String())
	}
	logged := false
	for _, root := range []string{state, repo} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(addressToken)) {
				t.Errorf("the token is in %s", path)
			}
			logged = logged || bytes.Contains(b, []byte("the service answered 500"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !logged {
		t.Error("that a service is broken was not written down")
	}
}
