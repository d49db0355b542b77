package graph

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// loginLimit is how long a person has to log in.
const loginLimit = 10 * time.Minute

// secretText returns random text that nobody can guess.
func (c *Client) secretText() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(c.opt.Random, b); err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// Login logs in through the browser: a loopback address, and PKCE, so that whoever else sees the answer cannot use it. open
// shows the address of the login page; there is no secret in it.
func (c *Client) Login(ctx context.Context, open func(address string) error) error {
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	verifier, err := c.secretText()
	if err != nil {
		return err
	}
	state, err := c.secretText()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	oauth := c.oauth
	oauth.RedirectURL = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	answer := make(chan loginAnswer, 1)
	server := &http.Server{Handler: callback(state, answer), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		// That it was closed, or that nobody can come any more: then nobody logs in, which is told below.
		_ = server.Serve(listener)
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	challenge := sha256.Sum256([]byte(verifier))
	err = open(oauth.AuthCodeURL(state, oauth2.SetAuthURLParam("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:])),
		oauth2.SetAuthURLParam("code_challenge_method", "S256")))
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	var got loginAnswer
	select {
	case got = <-answer:
	case <-ctx.Done():
		return fmt.Errorf("log in: nobody logged in: %w", ctx.Err())
	}
	if got.err != nil {
		return got.err
	}
	t, err := oauth.Exchange(c.httpContext(ctx), got.code, oauth2.SetAuthURLParam("code_verifier", verifier))
	if err != nil {
		return loginError("log in", err)
	}
	return c.loggedIn(ctx, t)
}

type loginAnswer struct {
	code string
	err  error
}

// callback takes the answer of the login page. Requests without the right state are somebody else's and change nothing.
func callback(state string, answer chan<- loginAnswer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the login that was begun.", http.StatusBadRequest)
			return
		}
		a := loginAnswer{code: q.Get("code")}
		if a.code == "" {
			why := "no reason given"
			if plainWord(q.Get("error")) {
				why = q.Get("error")
			}
			a.err = fmt.Errorf("log in: it was refused: %s", why)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "Done. This window can be closed; the rest is in the terminal.")
		select {
		case answer <- a:
		default: // answered already
		}
	})
}

// LoginDevice logs in with a code that is typed on another device. show tells the person the code and where to type it.
func (c *Client) LoginDevice(ctx context.Context, show func(code, address string) error) error {
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	d, err := c.oauth.DeviceAuth(c.httpContext(ctx))
	if err != nil {
		return loginError("log in with a code", err)
	}
	if err := show(d.UserCode, d.VerificationURI); err != nil {
		return fmt.Errorf("log in with a code: %w", err)
	}
	interval := time.Duration(min(max(d.Interval, 5), 600)) * time.Second
	until := c.opt.Now().Add(loginLimit)
	for c.opt.Now().Before(until) {
		if err := c.opt.Sleep(ctx, interval); err != nil {
			return fmt.Errorf("log in with a code: %w", err)
		}
		t, code, err := c.deviceToken(ctx, d.DeviceCode)
		switch {
		case err != nil:
			return err
		case t != nil:
			return c.loggedIn(ctx, t)
		case code == "slow_down":
			interval += 5 * time.Second
		case code != "authorization_pending":
			return fmt.Errorf("log in with a code: the service refused it: %s", code)
		}
	}
	return errors.New("log in with a code: it was not typed in time")
}

// deviceToken asks once whether the code has been typed: a token, or the service's word for what is in its way.
func (c *Client) deviceToken(ctx context.Context, deviceCode string) (*oauth2.Token, string, error) {
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {c.opt.ClientID}, "device_code": {deviceCode}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.oauth.Endpoint.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", withoutURL(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.opt.HTTP.Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("log in with a code: %w", withoutURL(err))
	}
	defer res.Body.Close()
	var body struct {
		Error        string `json:"error"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&body); err != nil {
		return nil, "", errors.New("log in with a code: the service's answer cannot be read")
	}
	if body.AccessToken == "" {
		if !plainWord(body.Error) {
			body.Error = "no reason given"
		}
		return nil, body.Error, nil
	}
	return &oauth2.Token{AccessToken: body.AccessToken, RefreshToken: body.RefreshToken, TokenType: body.TokenType,
		Expiry: c.opt.Now().Add(time.Duration(body.ExpiresIn) * time.Second)}, "", nil
}

// loggedIn keeps a new login.
func (c *Client) loggedIn(ctx context.Context, t *oauth2.Token) error {
	if t.RefreshToken == "" {
		return errors.New("log in: the service gave no lasting login; the registration has to allow offline_access")
	}
	c.token = nil // whatever was saved before
	return c.keep(ctx, t)
}

// Logout forgets the login. Nothing to forget is no error.
func (c *Client) Logout(ctx context.Context) error {
	c.token = nil
	return c.opt.Store.Delete(ctx)
}
