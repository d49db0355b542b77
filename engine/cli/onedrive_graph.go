package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive/graph"
	"maia-dr/keychain"
)

// graphItem is where the login for Microsoft Graph lies.
var graphItem = keychain.Item{Service: keychain.Service, Account: "onedrive", Label: "Maia Recovery OneDrive login"}

// graphStore keeps the login in the Keychain.
type graphStore struct{ a *app }

func (s graphStore) Load(ctx context.Context) ([]byte, error) {
	secret, err := s.a.keychain().Get(ctx, graphItem)
	if errors.Is(err, keychain.ErrNotFound) {
		return nil, nil
	}
	return secret.Bytes(), err
}

func (s graphStore) Save(ctx context.Context, token []byte) error {
	return s.a.keychain().Set(ctx, graphItem, keychain.NewSecret(token))
}

func (s graphStore) Delete(ctx context.Context) error {
	if err := s.a.keychain().Delete(ctx, graphItem); err != nil && !errors.Is(err, keychain.ErrNotFound) {
		return err
	}
	return nil
}

// graphClient returns the client for the registration that the configuration names.
func (a *app) graphClient(e *engine.Engine) (*graph.Client, error) {
	o := a.Graph
	if o.ClientID = e.GraphClientID(); o.ClientID == "" {
		return nil, &engine.Error{Op: "ask Microsoft Graph", Code: engine.CodeConfig, Err: errors.New("onedrive.graph_client_id is not set"),
			Hint: "register a client of your own, as docs/onedrive.md says, and put its id into the configuration"}
	}
	o.Store, o.Now, o.Random = graphStore{a}, a.Env.Now, a.Env.Random
	o.Sleep = e.Sleep
	return graph.New(o), nil
}

func (a *app) oneDriveLoginCommand() *cobra.Command {
	var device bool
	cmd := &cobra.Command{
		Use: "login", Short: "Log in to Microsoft Graph, for proof from the cloud itself", Args: argsBetween(0, 0),
		Long: `Log in to Microsoft Graph in the browser, so that "onedrive check" can ask the cloud itself what it has. The program may
then read the files of that account, and nothing else; the login lies in the Keychain. It needs a registration of your own,
see docs/onedrive.md. With --device the login is made on another device, with a code.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			c, err := a.graphClient(e)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if device {
				err = c.LoginDevice(ctx, func(code, address string) error {
					fmt.Fprintf(a.Err, "Open %s on any device and type the code %s\n", clean(address), clean(code))
					return nil
				})
			} else {
				err = c.Login(ctx, func(address string) error {
					fmt.Fprintf(a.Err, "Log in in the browser. If none opens, open this address in one on this machine:\n%s\n", address)
					if a.OpenURL != nil {
						// Without a browser the address is still there to be opened.
						_ = a.OpenURL(ctx, address)
					}
					return nil
				})
			}
			if err != nil {
				return engine.CloudError(err)
			}
			account, err := c.Account(ctx)
			if err != nil {
				return engine.CloudError(err)
			}
			if a.flags.json {
				return a.writeJSON(account)
			}
			a.printf("Logged in: %s, OneDrive %s. `maia-dr onedrive check` asks it.\n", orUnknown(account.Name), orUnknown(account.Kind))
			return nil
		},
	}
	cmd.Flags().BoolVar(&device, "device", false, "log in on another device, with a code")
	return cmd
}

func (a *app) oneDriveLogoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the login for Microsoft Graph", Args: argsBetween(0, 0),
		Long: "Remove the login for Microsoft Graph from the Keychain. What was proven with it stays proven.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			c, err := a.graphClient(e)
			if err != nil {
				return err
			}
			if err := c.Logout(cmd.Context()); err != nil {
				return engine.CloudError(err)
			}
			a.say("Logged out.\n")
			return nil
		},
	}
}

func (a *app) oneDriveCheckCommand() *cobra.Command {
	var sample int
	cmd := &cobra.Command{
		Use: "check", Short: "Ask Microsoft Graph what is in the cloud, and compare", Args: argsBetween(0, 0),
		Long: `Compare every file of every backup with what Microsoft Graph has of it: size and quickXorHash. A few chunks, drawn at
random, are downloaded from the cloud and compared by their SHA-256. What agrees is cloud_verified from then on.

Exit code 0: everything agrees, 3: something is not visible yet or cannot be compared, 1: something differs.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sample < 0 {
				return usageErrorFor(cmd, errors.New("--sample cannot be negative"))
			}
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			c, err := a.graphClient(e)
			if err != nil {
				return err
			}
			res, err := e.CheckCloud(cmd.Context(), c, sample)
			a.tidy()
			if err != nil {
				return err
			}
			switch {
			case len(res.Differ) > 0:
				a.exit = ExitFailed
			case !res.OK():
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.line(res)
			}
			a.printCheck(res)
			return nil
		},
	}
	cmd.Flags().IntVar(&sample, "sample", 3, "how many chunks to download and compare, `N`")
	return cmd
}

func (a *app) printCheck(r *engine.CloudCheck) {
	a.printf("Account: %s, OneDrive %s\n", orUnknown(r.Account.Name), orUnknown(r.Account.Kind))
	a.printf("Verified in the cloud: %d of %s, %s; %s downloaded and compared\n", r.Verified, count(r.Files, "file", "files"), size(r.VerifiedBytes), count(r.Sampled, "chunk", "chunks"))
	for _, x := range []struct {
		list []string
		what string
	}{{r.Differ, "DIFFERS"}, {r.NotVisible, "not visible yet"}, {r.NoHash, "no hash in the cloud"}, {r.Unread, "evicted, and in no copy here"}} {
		for i, name := range x.list {
			if i == 10 && !a.flags.verbose {
				a.printf("  and %d more\n", len(x.list)-i)
				break
			}
			a.printf("  %s: %s\n", x.what, clean(name))
		}
	}
	if r.Sync != nil {
		a.printProblemList(engine.SyncProblems(r.Sync))
	}
}

// openURL shows a page in the user's browser.
func openURL(ctx context.Context, address string) error {
	tool := "xdg-open"
	if runtime.GOOS == "darwin" {
		tool = "/usr/bin/open"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, address)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = io.Discard, io.Discard, time.Second
	return cmd.Run()
}
