package graph

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// answers is a server that says the same to everybody, and remembers whom it was asked as.
type answers struct {
	status int
	retry  string
	body   []byte
	asked  int
	stray  string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked++
	if r.Header.Get("Authorization") != "" && (r.URL.Scheme != "https" || r.URL.Host != "graph.example") {
		a.stray = r.URL.String()
	}
	h := http.Header{"Content-Type": {"application/json"}}
	body := a.body
	if a.asked%4 == 3 {
		// Pages that do not end are a test of their own.
		body = []byte("{}")
	}
	if a.retry != "" {
		h.Set("Retry-After", a.retry)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

type noStore struct{}

func (noStore) Load(context.Context) ([]byte, error) { return []byte("SECRET-refresh"), nil }
func (noStore) Save(context.Context, []byte) error   { return nil }
func (noStore) Delete(context.Context) error         { return nil }

// FuzzAnswers: whatever Microsoft Graph and the login say is taken or refused; the token goes nowhere else, nobody waits for less
// than nothing, and no answer is asked for without end.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"driveType":"personal","owner":{"user":{"displayName":"Me"}},"quota":{"remaining":5}}`,
		`{"value":[{"name":"a.gz","size":3,"file":{"hashes":{"quickXorHash":"AAAA"}}},{"name":"chunks","size":0}],"@odata.nextLink":"https://graph.example/v1.0/next"}`,
		`{"value":[{"name":"a.gz","size":-3,"file":{}}],"@odata.nextLink":"https://graph.example.evil/v1.0/next"}`,
		`{"value":null,"@odata.nextLink":"https://graph.example/v1.0/../../%2e%2e@evil/"}`,
		`{"repository_id":"ours"}`, `{"error":"authorization_pending"}`, `{"error":"SECRET echo\n"}`,
		`{"access_token":"a","refresh_token":"b","token_type":"Bearer","expires_in":3600}`, `[]`, `null`, ``, `{"access_token":"a","expires_in":9223372036854775807}`,
	} {
		f.Add(100, "", []byte(body))
	}
	f.Add(329, "3", []byte("{}"))
	f.Add(403, "9223372037", []byte("{}"))
	f.Add(329, "Mon, 13 Oct 2025 03:00:00 GMT", []byte("{}"))
	f.Add(202, "", []byte("{}"))
	// A status counts from 100.
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		a := &answers{status: 100 + max(status, -status)%500, retry: strings.ToValidUTF8(strings.Map(printable, retry), ""), body: body}
		now := time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC)
		waited := time.Duration(0)
		c := New(Options{
			ClientID: "client", Store: noStore{}, Now: func() time.Time { return now }, Random: strings.NewReader(strings.Repeat("r", 1000)),
			Sleep: func(_ context.Context, d time.Duration) error {
				if d < 0 {
					t.Errorf("waits for %v", d)
				}
				waited += d
				return nil
			},
			GraphURL: "https://graph.example/v1.0", LoginURL: "https://login.example", HTTP: &http.Client{Transport: a},
		})
		c.token = &oauth2.Token{AccessToken: "SECRET-access", RefreshToken: "SECRET-refresh", Expiry: now.Add(time.Hour)}
		_, _ = c.Account(t.Context())
		if d, err := c.Open(t.Context(), "MaiaBackups", "ours"); err == nil {
			_, _ = d.List(t.Context(), "chunks")
		}
		items, err := (&Drive{c, "MaiaBackups"}).List(t.Context(), "chunks")
		if err == nil && len(items) > len(body) {
			t.Errorf("%d files of %d bytes", len(items), len(body))
		}
		token, word, err := c.deviceToken(t.Context(), "code")
		if err == nil && token == nil && !plainWord(word) && word != "no reason given" {
			t.Errorf("the service's word: %q", word)
		}
		if a.stray != "" {
			t.Errorf("the token went to %s", a.stray)
		}
		if a.asked > 5*maxTries*4 || waited > 5*maxTries*maxRetryAfter {
			t.Errorf("asked %d times, waited %v", a.asked, waited)
		}
	})
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}
