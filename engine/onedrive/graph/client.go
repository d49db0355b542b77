package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// What can be wrong, each with another remedy.
var (
	// ErrLoggedOut: there is no token, or Microsoft no longer takes it.
	ErrLoggedOut = errors.New("not logged in to Microsoft Graph")
	// ErrWrongAccount: the account has another repository in the place of ours.
	ErrWrongAccount = errors.New("the account that is logged in is another one than that of the OneDrive folder")
	// ErrNotVisible: the account does not have the repository (yet).
	ErrNotVisible = errors.New("the repository is not visible in the account that is logged in")
	// ErrBusy: Microsoft asked to come back later, more often than was waited for.
	ErrBusy = errors.New("too many requests for Microsoft Graph")
)

// Store keeps the token.
type Store interface {
	// Load returns what was saved last; nil: nothing.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, token []byte) error
	Delete(ctx context.Context) error
}

// Options of a client. Beside ClientID, Store, Now and Sleep the zero value works.
type Options struct {
	// ClientID is the user's own registration with Microsoft.
	ClientID string
	Store    Store
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error
	// Random is for what nobody may guess in a login.
	Random io.Reader
	// GraphURL and LoginURL are Microsoft's; HTTP is the client for them.
	GraphURL, LoginURL string
	HTTP               *http.Client
}

const (
	graphURL = "https://graph.microsoft.com/v1.0"
	loginURL = "https://login.microsoftonline.com/common/oauth2/v2.0"
	// callLimit is how long one call may take; a file's content has contentLimit.
	callLimit    = time.Minute
	contentLimit = 10 * time.Minute
	// maxTries is how often a call is made again when Microsoft is busy, maxRetryAfter what it is waited for at most.
	maxTries      = 5
	maxRetryAfter = 5 * time.Minute
	maxBody       = 16 << 20
)

func (o *Options) applyDefaults() {
	if o.GraphURL == "" {
		o.GraphURL = graphURL
	}
	if o.LoginURL == "" {
		o.LoginURL = loginURL
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
}

// Client asks Microsoft Graph about one account's drive. Not safe for concurrent use.
type Client struct {
	opt   Options
	oauth oauth2.Config
	token *oauth2.Token
}

// New returns a client. It asks nothing yet.
func New(o Options) *Client {
	o.applyDefaults()
	return &Client{opt: o, oauth: oauth2.Config{
		ClientID: o.ClientID, Scopes: []string{"Files.Read", "offline_access"},
		Endpoint: oauth2.Endpoint{
			AuthURL: o.LoginURL + "/authorize", TokenURL: o.LoginURL + "/token", DeviceAuthURL: o.LoginURL + "/devicecode",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}}
}

// httpContext has the oauth2 library use the client's own HTTP client.
func (c *Client) httpContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.opt.HTTP)
}

// access returns a valid access token, refreshed and saved if need be.
func (c *Client) access(ctx context.Context) (string, error) {
	if c.token == nil {
		b, err := c.opt.Store.Load(ctx)
		if err != nil {
			return "", err
		}
		if b == nil {
			return "", ErrLoggedOut
		}
		c.token = &oauth2.Token{RefreshToken: string(b)}
	}
	if c.token.AccessToken != "" && c.token.Expiry.After(c.opt.Now().Add(time.Minute)) {
		return c.token.AccessToken, nil
	}
	return c.refresh(ctx)
}

func (c *Client) refresh(ctx context.Context) (string, error) {
	old := c.token.RefreshToken
	t, err := c.oauth.TokenSource(c.httpContext(ctx), &oauth2.Token{RefreshToken: old}).Token()
	if err != nil {
		return "", loginError("refresh the login", err)
	}
	if t.RefreshToken == "" {
		t.RefreshToken = old
	}
	return t.AccessToken, c.keep(ctx, t)
}

// keep takes up a token. What lasts of it, the refresh token, is saved; the rest is for this process.
func (c *Client) keep(ctx context.Context, t *oauth2.Token) error {
	if c.token == nil || c.token.RefreshToken != t.RefreshToken {
		if err := c.opt.Store.Save(ctx, []byte(t.RefreshToken)); err != nil {
			return fmt.Errorf("save the login: %w", err)
		}
	}
	c.token = t
	return nil
}

// loginError tells an error of the login service without what it was sent or answered: both may hold a secret.
func loginError(what string, err error) error {
	if re, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		code := "no reason given"
		if plainWord(re.ErrorCode) {
			code = re.ErrorCode
		}
		if re.ErrorCode == "invalid_grant" || re.ErrorCode == "interaction_required" {
			return fmt.Errorf("%s: %w: %s", what, ErrLoggedOut, code)
		}
		return fmt.Errorf("%s: the service refused it: %s", what, code)
	}
	return fmt.Errorf("%s: %w", what, withoutURL(err))
}

func plainWord(s string) bool {
	return s != "" && len(s) < 60 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}

// withoutURL takes the address out of an error: that of a download holds a token.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", ue.Op, withoutURL(ue.Err))
	}
	return err
}

// call makes a GET request with the token and returns the response, whose body the caller closes. Where Microsoft is busy
// it is made again, after as long as was asked for.
func (c *Client) call(ctx context.Context, address string) (*http.Response, error) {
	refreshed := false
	for try := 1; ; try++ {
		token, err := c.access(ctx)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, withoutURL(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := c.opt.HTTP.Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask Microsoft Graph: %w", withoutURL(err))
		}
		switch {
		case res.StatusCode == http.StatusOK:
			return res, nil
		case res.StatusCode == http.StatusNotFound:
			res.Body.Close()
			return nil, ErrNotVisible
		case res.StatusCode == http.StatusUnauthorized && !refreshed:
			// Taken back before its time: once more with a new one.
			res.Body.Close()
			refreshed = true
			if _, err := c.refresh(ctx); err != nil {
				return nil, err
			}
			continue
		case res.StatusCode == http.StatusUnauthorized:
			res.Body.Close()
			return nil, ErrLoggedOut
		case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
			wait := retryAfter(res, c.opt.Now())
			res.Body.Close()
			if try == maxTries || wait > maxRetryAfter {
				return nil, fmt.Errorf("%w: it asks to come back in %s", ErrBusy, wait)
			}
			if err := c.opt.Sleep(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		res.Body.Close()
		return nil, fmt.Errorf("ask Microsoft Graph: status %d", res.StatusCode)
	}
}

// retryAfter returns how long the server asked to wait: seconds or a date; a while, where it does not say.
func retryAfter(res *http.Response, now time.Time) time.Duration {
	const unsaid = 10 * time.Second
	text := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		// More than a day is for ever, and would not be a positive duration at the end.
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return unsaid
}

// get makes a call and decodes its JSON.
func (c *Client) get(ctx context.Context, address string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit+maxTries*maxRetryAfter)
	defer cancel()
	res, err := c.call(ctx, address)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of Microsoft Graph: %w", withoutURL(err))
	}
	return nil
}
