package cli

import (
	"context"
	"fmt"
	"time"

	"maia-dr/engine"
	"maia-dr/keychain"
	"maia-dr/tray"
	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

// tellLimit is how long telling may take at the end of a run, once it is known what there is to tell: finding that out
// has limits of its own, and OneDrive's silence must not silence this program.
const tellLimit = time.Minute

// keeper tells the owner of incidents, through the channels of the configuration.
func (a *app) keeper(e *engine.Engine) *notify.Keeper {
	k := &notify.Keeper{Dir: e.State().Path, FS: e.State().FS, Now: a.Env.Now}
	if a.Screen != nil {
		k.Channels = append(k.Channels, a.Screen)
	}
	if a.config.Notify.Webhook {
		k.Channels = append(k.Channels, notify.Webhook(a.address(notify.WebhookAccount), a.Env.Hostname, a.Env.Now))
	}
	return k
}

// address reads the address of a channel from the Keychain.
func (a *app) address(account string) notify.Address {
	return func(ctx context.Context) (string, error) {
		s, err := a.keychain().Get(ctx, channelItem(account))
		return string(s.Bytes()), err
	}
}

func channelItem(account string) keychain.Item {
	return keychain.Item{Service: keychain.Service, Account: account, Label: "Maia Recovery " + account + " address"}
}

// backupBegins tells the health check that a backup begins. What it returns is called with the outcome, when the lock
// is free again, and tells whoever is to know of it. Nothing of this fails the backup.
func (a *app) backupBegins(ctx context.Context, e *engine.Engine) func(*engine.BackupResult, error) {
	started := make(chan struct{})
	go func() {
		defer close(started)
		a.ping(ctx, notify.Started, "")
	}()
	return func(res *engine.BackupResult, err error) {
		<-started
		// Also after Ctrl-C: whether backups work is then to be told as before.
		ctx := context.WithoutCancel(ctx)
		switch code := engine.CodeOf(err); {
		case err == nil:
			a.ping(ctx, notify.Succeeded, fmt.Sprintf("%s: %s, %s new", res.BackupID, res.Status, size(res.StoredBytes)))
		case code == engine.CodeCancelled, code == engine.CodeBusy:
			return
		default:
			a.ping(ctx, notify.Failed, err.Error())
		}
		k := a.keeper(e)
		alerts, lookErr := a.alerts(ctx, e)
		a.untold(lookErr)
		ctx, cancel := context.WithTimeout(ctx, tellLimit)
		defer cancel()
		if lookErr == nil {
			a.untold(k.Report(ctx, alerts))
		}
		if err == nil && a.config.Notify.Success {
			a.untold(k.Success(ctx, res.BackupID, notify.Message{Event: notify.Completed, Title: "The backup is complete",
				Text: fmt.Sprintf("%s, %s new, in %s.", count(res.Files, "file", "files"), size(res.StoredBytes), took(res.Duration))}))
		}
	}
}

// alerts is what there is to tell of the status.
func (a *app) alerts(ctx context.Context, e *engine.Engine) (menu.Alerts, error) {
	asOf := a.Env.Now()
	look, err := (&trayEngine{e}).Look(ctx)
	if err != nil {
		return menu.Alerts{}, err
	}
	choices, err := tray.ReadChoices(e.State().Path)
	if err != nil {
		a.log.Warn().Err(err).Msg("read the choices")
	}
	alerts := menu.Alert(menu.State{Loaded: true, Status: look.Status, Muted: choices.Muted}, a.Env.Now())
	alerts.AsOf = asOf
	return alerts, nil
}

// tellEnd tells of what the status says at the end of a run, however that ended.
func (a *app) tellEnd(ctx context.Context, e *engine.Engine) {
	ctx = context.WithoutCancel(ctx)
	alerts, err := a.alerts(ctx, e)
	if err != nil {
		a.untold(err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	a.untold(a.keeper(e).Report(ctx, alerts))
}

// untold writes down that somebody could not be told.
func (a *app) untold(err error) {
	if err != nil {
		a.log.Warn().Err(err).Msg("notify")
	}
}

func (a *app) ping(ctx context.Context, p notify.Pulse, text string) {
	if a.config.Notify.Healthcheck {
		ctx, cancel := context.WithTimeout(ctx, tellLimit)
		defer cancel()
		a.untold(notify.Ping(ctx, a.address(notify.HealthcheckAccount), p, text))
	}
}
