package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Account names under which the addresses of the channels lie in the Keychain; the service is the program's own.
const (
	HealthcheckAccount = "healthcheck"
	WebhookAccount     = "webhook"
)

// CheckAddress says whether an address can be used: it must be https, because it holds a token; http is for this
// machine alone. The error does not repeat the address.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return errors.New("that is no address: one begins with https://")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("it must begin with https://, because anybody on the way could read it otherwise")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// client follows no redirect: an address with a token in it goes to nobody else.
func client() *http.Client {
	return &http.Client{
		Timeout:       limit,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: limit},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a body. No error holds the address.
func post(ctx context.Context, address, contentType string, body []byte) error {
	if err := CheckAddress(address); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("it is no address")
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "maia-dr")
	resp, err := client().Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %s", limit)
		}
		return errors.New(hideCredentials(err.Error()))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the service answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}

// Address returns the address of a channel; an error where it cannot be read.
type Address func(ctx context.Context) (string, error)

// Webhook is a channel that posts messages as JSON: those of Message, with version, at (RFC 3339) and host.
func Webhook(address Address, host string, now func() time.Time) Channel {
	return func(ctx context.Context, m Message) error {
		a, err := address(ctx)
		if err != nil {
			return fmt.Errorf("read the webhook's address: %w", err)
		}
		b, err := json.Marshal(struct {
			Version int    `json:"version"`
			At      string `json:"at"`
			Host    string `json:"host"`
			Message
		}{1, now().UTC().Format(time.RFC3339), host, m})
		if err != nil {
			return err
		}
		if err := post(ctx, a, "application/json", b); err != nil {
			return fmt.Errorf("send to the webhook: %w", err)
		}
		return nil
	}
}

// Pulse is what a health-check service is told.
type Pulse string

// The pulses, as what is added to the address. Services that keep to the convention of healthchecks.io know them.
const (
	Started   Pulse = "/start"
	Succeeded Pulse = ""
	Failed    Pulse = "/fail"
)

// Ping tells a health-check service. text goes along with it.
func Ping(ctx context.Context, address Address, p Pulse, text string) error {
	a, err := address(ctx)
	if err != nil {
		return fmt.Errorf("read the address of the health check: %w", err)
	}
	u, err := url.Parse(a)
	if err != nil {
		return errors.New("ping the health check: its address is none")
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + string(p)
	u.RawPath = ""
	if err := post(ctx, u.String(), "text/plain; charset=utf-8", []byte(Message{Text: text}.clean().Text)); err != nil {
		return fmt.Errorf("ping the health check: %w", err)
	}
	return nil
}
