package graph

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// service stands for Microsoft's login and Graph. Everything secret in it begins with SECRET.
type service struct {
	*httptest.Server
	t *testing.T
	// challenge is what the login page was given, deviceWaits how often the code is not typed yet.
	challenge   string
	deviceWaits int
	deviceError string
	// generation numbers the access tokens: only the newest is taken.
	generation int
	refuse     string // the error of every refresh
	refreshes  int
	expiresIn  int64
	noRefresh  bool
	// busy is how often a call is put off, retryAfter for how long.
	busy       int
	retryAfter string
	status     int // of every call instead, if set
	marker     string
	files      map[string]Item
	body       []byte
	pages      int
	nextHost   string
	calls      int
}

func newService(t *testing.T) *service {
	s := &service{t: t, expiresIn: 3600, marker: "ours", files: map[string]Item{}, pages: 1}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/token", s.token)
	mux.HandleFunc("POST /login/devicecode", func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, map[string]any{"device_code": "SECRET-device", "user_code": "ABCD-EFGH", "verification_uri": "https://example.com/device", "expires_in": 900, "interval": 5})
	})
	mux.HandleFunc("GET /v1/", s.graph)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (s *service) access() string { return fmt.Sprintf("SECRET-access-%d", s.generation) }

func (s *service) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.t.Error(err)
	}
	bad := func(code string) {
		reply(w, 400, map[string]any{"error": code, "error_description": "you sent " + r.Form.Encode() + " SECRET-echo"})
	}
	switch r.Form.Get("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
		if r.Form.Get("code") != "SECRET-code" || base64.RawURLEncoding.EncodeToString(sum[:]) != s.challenge {
			bad("invalid_grant")
			return
		}
	case "refresh_token":
		s.refreshes++
		if s.refuse != "" {
			bad(s.refuse)
			return
		}
		if !strings.HasPrefix(r.Form.Get("refresh_token"), "SECRET-refresh") {
			bad("invalid_grant")
			return
		}
	default:
		if r.Form.Get("device_code") != "SECRET-device" {
			bad("invalid_grant")
			return
		}
		if s.deviceError != "" {
			bad(s.deviceError)
			return
		}
		if s.deviceWaits > 0 {
			s.deviceWaits--
			bad("authorization_pending")
			return
		}
	}
	s.generation++
	answer := map[string]any{"token_type": "Bearer", "access_token": s.access(), "expires_in": s.expiresIn, "refresh_token": fmt.Sprintf("SECRET-refresh-%d", s.generation)}
	if s.noRefresh {
		delete(answer, "refresh_token")
	}
	reply(w, 200, answer)
}

func (s *service) graph(w http.ResponseWriter, r *http.Request) {
	s.calls++
	if r.Header.Get("Authorization") != "Bearer "+s.access() {
		reply(w, 401, map[string]any{"error": "SECRET-echo"})
		return
	}
	if s.busy > 0 {
		s.busy--
		w.Header().Set("Retry-After", s.retryAfter)
		reply(w, 429, nil)
		return
	}
	if s.status != 0 {
		reply(w, s.status, map[string]any{"error": "SECRET-echo"})
		return
	}
	path := r.URL.Path
	switch {
	case path == "/v1/me/drive":
		reply(w, 200, map[string]any{"driveType": "personal", "owner": map[string]any{"user": map[string]any{"displayName": "Naythan"}}, "quota": map[string]any{"remaining": 1234}})
	case strings.HasSuffix(path, "/repository.json:/content"):
		// As Microsoft does: the content lies elsewhere, under an address that holds a token.
		http.Redirect(w, r, s.URL+"/v1/download?tempauth=SECRET-temp", http.StatusFound)
	case strings.HasPrefix(path, "/v1/download"):
		reply(w, 200, map[string]any{"repository_id": s.marker})
	case strings.HasSuffix(path, ":/content"):
		w.Write(s.body)
	case strings.HasSuffix(path, "/chunks:/children"):
		s.children(w, r)
	default:
		reply(w, 404, map[string]any{"error": "itemNotFound"})
	}
}

// children lists the files, spread over pages.
func (s *service) children(w http.ResponseWriter, r *http.Request) {
	page := 0
	fmt.Sscan(r.URL.Query().Get("page"), &page)
	var value []map[string]any
	i := 0
	for name, item := range s.files {
		if i++; i%s.pages != page%s.pages {
			continue
		}
		hashes := map[string]any{}
		if item.QuickXor != "" {
			hashes["quickXorHash"] = item.QuickXor
		}
		value = append(value, map[string]any{"name": name, "size": item.SizeBytes, "file": map[string]any{"hashes": hashes}})
	}
	value = append(value, map[string]any{"name": "a folder", "folder": map[string]any{}})
	answer := map[string]any{"value": value}
	if page+1 < s.pages {
		host := s.URL
		if s.nextHost != "" {
			host = s.nextHost
		}
		answer["@odata.nextLink"] = fmt.Sprintf("%s/v1/me/drive/root:/MaiaBackups/chunks:/children?page=%d", host, page+1)
	}
	reply(w, 200, answer)
}

// memory is a Store.
type memory struct{ b []byte }

func (m *memory) Load(context.Context) ([]byte, error)   { return m.b, nil }
func (m *memory) Save(_ context.Context, b []byte) error { m.b = b; return nil }
func (m *memory) Delete(context.Context) error           { m.b = nil; return nil }

// client is one of the service's, with the waits it made.
func (s *service) client(store Store) (*Client, *[]time.Duration) {
	var slept []time.Duration
	now := time.Now()
	return New(Options{
		ClientID: "an-id", Store: store, Random: rand.Reader, GraphURL: s.URL + "/v1", LoginURL: s.URL + "/login",
		Now: func() time.Time { return now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			slept = append(slept, d)
			now = now.Add(d)
			return ctx.Err()
		},
	}), &slept
}

func (s *service) loggedIn() (*Client, *memory, *[]time.Duration) {
	m := &memory{[]byte("SECRET-refresh-0")}
	c, slept := s.client(m)
	return c, m, slept
}

// noSecret fails the test if an error tells something secret.
func noSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a secret is told: %v", err)
	}
}

// browse is a person who logs in: it returns what answers the login page.
func (s *service) browse(change func(url.Values)) func(string) error {
	return func(address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		q := u.Query()
		if strings.Contains(address, "SECRET") || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "Files.Read offline_access" || q.Get("client_id") != "an-id" {
			s.t.Errorf("the login page is %s", address)
		}
		s.challenge = q.Get("code_challenge")
		answer := url.Values{"state": {q.Get("state")}, "code": {"SECRET-code"}}
		change(answer)
		go func() {
			// A stranger tries first.
			for _, v := range []url.Values{{"state": {"guessed"}, "code": {"SECRET-theirs"}}, answer} {
				res, err := http.Get(q.Get("redirect_uri") + "/?" + v.Encode())
				if err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
		}()
		return nil
	}
}

func TestLogin(t *testing.T) {
	s := newService(t)
	m := new(memory)
	c, _ := s.client(m)
	if err := c.Login(t.Context(), s.browse(func(url.Values) {})); err != nil {
		t.Fatal(err)
	}
	if string(m.b) != "SECRET-refresh-1" {
		t.Errorf("saved: %q", m.b)
	}
	if a, err := c.Account(t.Context()); err != nil || a != (Account{"Naythan", "personal", 1234}) || s.refreshes != 0 {
		t.Errorf("%+v %v, %d refreshes", a, err, s.refreshes)
	}
	// The next process has only what was saved.
	c, _ = s.client(m)
	if _, err := c.Account(t.Context()); err != nil || s.refreshes != 1 || string(m.b) != "SECRET-refresh-2" {
		t.Errorf("%v, %d refreshes, %q", err, s.refreshes, m.b)
	}
	if err := c.Logout(t.Context()); err != nil || m.b != nil {
		t.Errorf("%v %q", err, m.b)
	}
	if _, err := c.Account(t.Context()); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("logged out: %v", err)
	}

	for name, change := range map[string]func(url.Values){
		"refused":        func(v url.Values) { v.Del("code"); v.Set("error", "access_denied") },
		"a wrong code":   func(v url.Values) { v.Set("code", "SECRET-other") },
		"odd characters": func(v url.Values) { v.Del("code"); v.Set("error", "SECRET\x1b[2J") },
	} {
		err := c.Login(t.Context(), s.browse(change))
		if err == nil || m.b != nil {
			t.Errorf("%s: %v, saved %q", name, err, m.b)
		}
		noSecret(t, err)
	}
	s.noRefresh = true
	if err := c.Login(t.Context(), s.browse(func(url.Values) {})); err == nil || m.b != nil {
		t.Errorf("a login that does not last: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Login(ctx, func(string) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLoginDevice(t *testing.T) {
	s := newService(t)
	s.deviceWaits = 3
	m := new(memory)
	c, slept := s.client(m)
	shown := ""
	show := func(code, address string) error { shown = code + " " + address; return nil }
	if err := c.LoginDevice(t.Context(), show); err != nil || shown != "ABCD-EFGH https://example.com/device" || len(*slept) != 4 || len(m.b) == 0 {
		t.Errorf("%v, shown %q, waited %v", err, shown, *slept)
	}
	for _, code := range []string{"expired_token", "authorization_declined", "access_denied", "SECRET!"} {
		m.b, s.deviceError = nil, code
		err := c.LoginDevice(t.Context(), show)
		if err == nil || m.b != nil {
			t.Errorf("%s: %v", code, err)
		}
		noSecret(t, err)
	}
	s.deviceError, s.deviceWaits = "", 1000
	if err := c.LoginDevice(t.Context(), show); err == nil || !strings.Contains(err.Error(), "not typed in time") {
		t.Errorf("never typed: %v", err)
	}
	s.deviceWaits, s.deviceError = 0, "slow_down"
	*slept = nil
	if err := c.LoginDevice(t.Context(), show); err == nil || (*slept)[1] <= (*slept)[0] {
		t.Errorf("asked to slow down: %v %v", err, *slept)
	}
}

func TestTokens(t *testing.T) {
	s := newService(t)
	c, m, _ := s.loggedIn()
	if _, err := c.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Taken back before its time: a new one is asked for, once.
	s.generation += 10
	if _, err := c.Account(t.Context()); err != nil || s.refreshes != 2 {
		t.Errorf("%v, %d refreshes", err, s.refreshes)
	}
	// Expired by the clock.
	s.expiresIn = 30
	c, _, _ = s.loggedIn()
	for range 2 {
		if _, err := c.Account(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if s.refreshes != 4 {
		t.Errorf("%d refreshes for tokens that last 30 s", s.refreshes)
	}
	for code, loggedOut := range map[string]bool{"invalid_grant": true, "interaction_required": true, "temporarily_unavailable": false, "SECRET": false} {
		s.refuse = code
		c, _, _ = s.loggedIn()
		_, err := c.Account(t.Context())
		if err == nil || errors.Is(err, ErrLoggedOut) != loggedOut {
			t.Errorf("%s: %v", code, err)
		}
		noSecret(t, err)
	}
	s.refuse = ""
	c, _, _ = s.loggedIn()
	m.b = nil
	if _, err := c.Account(t.Context()); err != nil {
		t.Error(err)
	}
	s.status = 401
	if _, err := c.Account(t.Context()); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("never taken: %v", err)
	}
	s.Close()
	_, err := c.Account(t.Context())
	if err == nil {
		t.Error("no service, and no error")
	}
	noSecret(t, err)
}

func TestRetryAfter(t *testing.T) {
	s := newService(t)
	c, _, slept := s.loggedIn()
	s.busy, s.retryAfter = 3, "17"
	if _, err := c.Account(t.Context()); err != nil || fmt.Sprint(*slept) != "[17s 17s 17s]" {
		t.Errorf("%v %v", err, *slept)
	}
	s.busy, s.retryAfter, *slept = 1, c.opt.Now().Add(time.Minute).UTC().Format(http.TimeFormat), nil
	if _, err := c.Account(t.Context()); err != nil || len(*slept) != 1 || (*slept)[0] < 58*time.Second || (*slept)[0] > time.Minute {
		t.Errorf("a date: %v %v", err, *slept)
	}
	s.busy, s.retryAfter, *slept = 1, "soon", nil
	if _, err := c.Account(t.Context()); err != nil || len(*slept) != 1 || (*slept)[0] <= 0 {
		t.Errorf("no time: %v %v", err, *slept)
	}
	s.busy, s.retryAfter, *slept = 1, "86400", nil
	if _, err := c.Account(t.Context()); !errors.Is(err, ErrBusy) || len(*slept) != 0 {
		t.Errorf("a day: %v %v", err, *slept)
	}
	s.busy, s.retryAfter = 1000, "1"
	if _, err := c.Account(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("for ever: %v", err)
	}
	s.busy, s.status = 0, 503
	if _, err := c.Account(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("503: %v", err)
	}
	s.status = 403
	_, err := c.Account(t.Context())
	if err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "403") {
		t.Errorf("403: %v", err)
	}
	noSecret(t, err)
}

func TestOpenAndList(t *testing.T) {
	s := newService(t)
	c, _, _ := s.loggedIn()
	s.marker = "another"
	if _, err := c.Open(t.Context(), "MaiaBackups", "ours"); !errors.Is(err, ErrWrongAccount) {
		t.Errorf("another account: %v", err)
	}
	s.marker = "ours"
	d, err := c.Open(t.Context(), "My Folder/MaiaBackups", "ours")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.address("chunks/a#b.gz", "content"); !strings.HasSuffix(got, "/me/drive/root:/My%20Folder/MaiaBackups/chunks/a%23b.gz:/content") {
		t.Error(got)
	}
	for i := range 25 {
		s.files[fmt.Sprintf("%d.gz", i)] = Item{int64(i), ""}
	}
	s.files["hashed.gz"] = Item{7, "aGFzaA=="}
	if l, err := d.List(t.Context(), "chunks"); err != nil || len(l) != 26 || l["hashed.gz"] != (Item{7, "aGFzaA=="}) {
		t.Errorf("%d files, %v", len(l), err)
	}
	if l, err := d.List(t.Context(), "full_20250101_000000"); err != nil || len(l) != 0 {
		t.Errorf("a folder that is not visible: %v %v", l, err)
	}
	// The token goes to no other host, and pages that never end do.
	s.pages, s.nextHost = 2, "https://elsewhere.example.com"
	if _, err := d.List(t.Context(), "chunks"); err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("a page elsewhere: %v", err)
	}
	s.pages, s.nextHost, s.files = 1<<30, "", nil
	if _, err := d.List(t.Context(), "chunks"); err == nil {
		t.Error("pages without end were read")
	}
	s.pages = 1
	s.body = []byte("content")
	if sum, n, err := d.SHA256(t.Context(), "chunks/x.gz", 100); err != nil || n != 7 || sum != sha256.Sum256(s.body) {
		t.Errorf("%x %d %v", sum, n, err)
	}
	s.body = make([]byte, 1000)
	if _, n, err := d.SHA256(t.Context(), "chunks/x.gz", 100); err != nil || n != 101 {
		t.Errorf("more than was expected: %d %v", n, err)
	}
	s.status = 404
	if _, err := c.Open(t.Context(), "MaiaBackups", "ours"); !errors.Is(err, ErrNotVisible) {
		t.Errorf("not visible: %v", err)
	}
}

// TestQuickXorHash: known answers, made with whole numbers instead of bytes, after that way had agreed with published ones.
func TestQuickXorHash(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	long := make([]byte, 100_000)
	for i := range long {
		long[i] = byte(i * 7 % 251)
	}
	for _, tc := range []struct{ in, want string }{
		{"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, {"a", "YQAAAAAAAAAAAAAAAQAAAAAAAAA="}, {"abc", "YRDDGAAAAAAAAAAAAwAAAAAAAAA="},
		{"Maia Recovery", "TQhDGsIAAimUYQxvvUMZ5JAHAAA="}, {string(all), "QkGEfSisZcA7k+FCh71r2dbCayY="}, {string(long), "Ky9nlZnXD8CYRddcVAP9/U0A+8k="},
	} {
		got, n, err := QuickXorHash(strings.NewReader(tc.in))
		if got != tc.want || n != int64(len(tc.in)) || err != nil {
			t.Errorf("%d bytes: %s, want %s, %v", len(tc.in), got, tc.want, err)
		}
		for _, step := range []int{1, 7, 20, 160, 999} {
			q := new(quickXor)
			for rest := tc.in; rest != ""; {
				n := min(step, len(rest))
				q.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			if q.sum() != tc.want {
				t.Errorf("%d bytes in steps of %d: %s", len(tc.in), step, q.sum())
			}
		}
	}
}
