package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

const token = "s3cr3t-t0ken-of-the-service"

func fixed(a string) Address { return func(context.Context) (string, error) { return a, nil } }

func TestWebhook(t *testing.T) {
	var got map[string]any
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost || r.URL.Path != "/hook/"+token {
			t.Error(r.Method, r.URL, err)
		}
	}))
	defer srv.Close()
	hook := Webhook(fixed(srv.URL+"/hook/"+token), "mac", func() time.Time { return time.Unix(0, 0) })
	if err := hook(t.Context(), Message{Event: Problem, Key: "overdue", Title: "T", Text: "t", Remedy: "r"}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"version": 1.0, "at": "1970-01-01T00:00:00Z", "host": "mac", "event": "problem", "key": "overdue", "title": "T", "text": "t", "what_to_do": "r"} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

func TestPing(t *testing.T) {
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		paths = append(paths, r.URL.RequestURI()+" "+string(b))
	}))
	defer srv.Close()
	for _, p := range []Pulse{Started, Succeeded, Failed} {
		if err := Ping(t.Context(), fixed(srv.URL+"/ping/u-u-i-d/?x=1"), p, "a\nb https://u:p@h/x?y"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"/ping/u-u-i-d/start?x=1 a b https://h/…", "/ping/u-u-i-d?x=1 a b https://h/…", "/ping/u-u-i-d/fail?x=1 a b https://h/…"}; !slices.Equal(paths, want) {
		t.Errorf("%q", paths)
	}
}

// No error tells the token, whatever goes wrong, and nobody else is sent to.
func TestErrorsHideTheAddress(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/redirect"):
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case strings.HasPrefix(r.URL.Path, "/hang"):
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/cut"):
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	}))
	srv.Config.ErrorLog = nil
	closed := httptest.NewServer(nil)
	closed.Close()
	defer srv.Close()
	for _, a := range []string{
		srv.URL + "/redirect/" + token, srv.URL + "/missing/" + token, srv.URL + "/cut/" + token, closed.URL + "/" + token,
		"http://example.invalid/" + token, "ftp://example.invalid/" + token, token, "https://", "https://u:" + token + "@[::1", "://" + token, "http://127.0.0.1:1/\x7f" + token,
	} {
		for _, err := range []error{
			Webhook(fixed(a), "h", time.Now)(t.Context(), Message{Event: Test}),
			Ping(t.Context(), fixed(a), Failed, "x"),
		} {
			if err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%q: %v", a, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Ping(ctx, fixed(srv.URL+"/hang/"+token), Started, ""); err == nil || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
	missing := errors.New("no such item")
	if err := Ping(t.Context(), func(context.Context) (string, error) { return "", missing }, Started, ""); !errors.Is(err, missing) {
		t.Error(err)
	}
}

func TestMessagesAreClean(t *testing.T) {
	m := Message{
		Title: "a\x1b]0;x\a" + strings.Repeat("t", 100), Text: "push to https://user:" + token + "@git.example/x?key=" + token + " failed\r\n\u202eevil\xff",
		Remedy: "see postgres://u:" + token + "@h:5/db",
	}.clean()
	for _, s := range []string{m.Title, m.Text, m.Remedy} {
		if strings.Contains(s, token) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", s)
		}
	}
	if !strings.Contains(m.Text, "https://git.example/… failed") || !strings.Contains(m.Remedy, "postgres://h:5/…") || len([]rune(m.Title)) != maxTitle {
		t.Errorf("%+v", m)
	}
	if got := hideCredentials("see https://example.com and a:b"); got != "see https://example.com and a:b" {
		t.Error(got)
	}
}
