package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/keychain"
	"maia-dr/tray"
	"maia-dr/tray/notify"
)

// maxAddress is more than any service's address has.
const maxAddress = 4096

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify", Short: "Who is told when a backup needs you, and of what", Args: argsBetween(0, 0),
		Long: `You are told once of each failure, slow upload, overdue backup and failed drill, again after a day while it
lasts, and when it is over. Besides the screen, docs/configuration.md, [notify], has a webhook and a health check.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.notifyTestCommand(), a.notifySetCommand(), a.notifyDeleteCommand(), a.muteCommand(true), a.muteCommand(false))
	return cmd
}

func (a *app) notifyTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test", Short: "Send a test through every channel", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			m := notify.Message{Event: notify.Test, Title: "Test of Maia Recovery", Text: "This is how you are told when a backup needs you.", Remedy: notify.Hidden}
			var failed error
			for _, c := range a.keeper(e).Channels {
				failed = errors.Join(failed, notify.Send(cmd.Context(), c, m))
			}
			if a.config.Notify.Healthcheck {
				failed = errors.Join(failed, notify.Ping(cmd.Context(), a.address(notify.HealthcheckAccount), notify.Succeeded, m.Text))
			}
			if failed != nil {
				return &engine.Error{Op: "send a test", Code: engine.CodeFailed, Err: failed,
					Hint: "set addresses with `maia-dr notify set`; notifications on the screen need a desktop session"}
			}
			a.printf("Handed over. %s\n", notify.Hidden)
			return nil
		},
	}
}

func (a *app) notifySetCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "set webhook|healthcheck", Short: "Put the address of a channel into the Keychain", Args: argsBetween(1, 1),
		Long: `Put the address of a channel into the Keychain. It is typed at the terminal and not shown, because it has a
token in it. The channel is switched on in the configuration: [notify].`,
		ValidArgs: []string{notify.WebhookAccount, notify.HealthcheckAccount},
		RunE: func(cmd *cobra.Command, args []string) error {
			item, err := channelOf(args[0])
			if err != nil {
				return err
			}
			address, err := a.readAddress(file)
			if err != nil {
				return err
			}
			if err := notify.CheckAddress(address); err != nil {
				return &engine.Error{Op: "read the address", Code: engine.CodeUsage, Err: err, Hint: "copy it as the service shows it"}
			}
			return a.inKeychain(cmd.Context(), "The address is in the Keychain.", func(ctx context.Context, s keychain.Store) error {
				return s.Set(ctx, item, keychain.NewSecret([]byte(address)))
			})
		},
	}
	cmd.Flags().StringVar(&file, "address-file", "", "read the address from a `FILE`, - is standard input")
	return cmd
}

func (a *app) notifyDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete webhook|healthcheck", Short: "Take the address of a channel out of the Keychain", Args: argsBetween(1, 1),
		ValidArgs: []string{notify.WebhookAccount, notify.HealthcheckAccount},
		RunE: func(cmd *cobra.Command, args []string) error {
			item, err := channelOf(args[0])
			if err != nil {
				return err
			}
			return a.inKeychain(cmd.Context(), "The address is deleted.", func(ctx context.Context, s keychain.Store) error { return s.Delete(ctx, item) })
		},
	}
}

func channelOf(name string) (keychain.Item, error) {
	if name != notify.WebhookAccount && name != notify.HealthcheckAccount {
		return keychain.Item{}, usageError(fmt.Errorf("%q is neither webhook nor healthcheck", name))
	}
	return channelItem(name), nil
}

// inKeychain does something with the Keychain, and says so.
func (a *app) inKeychain(ctx context.Context, done string, f func(context.Context, keychain.Store) error) error {
	if _, err := a.engine(nil); err != nil { // the configuration names the Keychain
		return err
	}
	if err := f(ctx, a.keychain()); err != nil {
		return &engine.Error{Op: "use the Keychain", Code: engine.CodeFailed, Err: err, Hint: storeHint(err)}
	}
	a.say("%s\n", done)
	return nil
}

// readAddress reads an address from a file or the terminal.
func (a *app) readAddress(file string) (string, error) {
	var b []byte
	var err error
	switch {
	case file == "-":
		b, err = io.ReadAll(io.LimitReader(a.In, maxAddress))
	case file != "":
		var f *os.File
		if f, err = os.Open(file); err == nil {
			defer f.Close()
			b, err = io.ReadAll(io.LimitReader(f, maxAddress))
		}
	case a.ReadPassword == nil:
		err = errNoTerminal
	default:
		b, err = a.ReadPassword("Address (it is not shown): ")
	}
	if err != nil {
		return "", &engine.Error{Op: "read the address", Code: engine.CodeUsage, Err: err, Hint: "give it with --address-file FILE"}
	}
	return string(bytes.TrimSpace(b)), nil
}

// muteCommand mutes problems, or takes that back.
func (a *app) muteCommand(mute bool) *cobra.Command {
	use, short := "mute CODE", "Say nothing of a problem for a week; it stays to be seen"
	if !mute {
		use, short = "unmute CODE", "Tell of a problem again"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: argsBetween(1, 1),
		ValidArgsFunction: a.completeProblems(mute),
		Long:              short + ".\n\nThe codes are those of `maia-dr status --json`; that a backup failed is backup_failed.",
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := cleanKey(args[0])
			if err != nil {
				return err
			}
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			c, err := a.choose(e, func(c *tray.Choices) {
				if mute {
					c.Mute(key, a.Env.Now())
				} else {
					delete(c.Muted, key)
				}
			})
			if err != nil {
				return err
			}
			if until, ok := c.Muted[key]; ok {
				a.printf("%s is muted until %s.\n", key, until.Local().Format("2 January 15:04"))
			} else {
				a.printf("%s is not muted.\n", key)
			}
			return nil
		},
	}
}
