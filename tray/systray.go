//go:build cgo || !darwin

package tray

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"fyne.io/systray"

	"maia-dr/engine/fsx"
	"maia-dr/resources"
	"maia-dr/tray/menu"
)

// Supported reports whether this build can show a menu.
const Supported = true

// Run shows the menu until ctx ends or the owner quits. It must be called from the main goroutine, once in a process.
// notify.ErrNoScreen: there is no desktop session. ErrAlready: another process shows it.
func Run(ctx context.Context, o Options) error {
	if err := o.ready(); err != nil {
		return err
	}
	if err := o.Prepare(); err != nil {
		return err
	}
	lock, err := fsx.TryLock(filepath.Join(o.StateDir, lockName))
	if errors.Is(err, fsx.ErrLocked) {
		return ErrAlready
	}
	if err != nil {
		return fmt.Errorf("lock the menu: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	changed, unwatched, err := watch(ctx, o.StateDir)
	if err != nil {
		cancel()
		return errors.Join(fmt.Errorf("watch the state directory: %w", err), lock.Unlock())
	}
	// On macOS a logout ends the process without a return of systray.Run, and Quit without a call of its onExit.
	clean := sync.OnceFunc(func() {
		cancel()
		<-unwatched
		_ = lock.Unlock()
	})
	defer clean()

	bar := &menuBar{form: o.form()}
	loop := newLoop(o)
	ended := make(chan struct{})
	begun := false
	bar.id()
	systray.Run(func() {
		// It must return: on Linux nobody sees the menu before.
		bar.build(ctx)
		begun = true
		go func() {
			defer close(ended)
			loop.run(ctx, bar, bar.clicks, systray.TrayOpenedCh, changed)
			systray.Quit()
		}()
	}, clean)
	if begun {
		<-ended
	}
	return nil
}

// menuBar is the menu on the screen: a row for every slot, made once, then hidden and shown. Its methods but build are
// called from one goroutine.
type menuBar struct {
	form   resources.IconForm
	items  [menu.Slots]*systray.MenuItem
	clicks chan menu.Slot
}

// build makes all rows, hidden, and starts a receiver of clicks for each: one that nobody waits for is lost.
func (b *menuBar) build(ctx context.Context) {
	b.clicks = make(chan menu.Slot)
	for slot := range menu.Slots {
		if slot.BeginsSection() {
			systray.AddSeparator()
		}
		parent, sub := slot.Parent()
		switch {
		case sub && slot.Tick():
			b.items[slot] = b.items[parent].AddSubMenuItemCheckbox("", "", false)
		case sub:
			b.items[slot] = b.items[parent].AddSubMenuItem("", "")
		case slot.Tick():
			b.items[slot] = systray.AddMenuItemCheckbox("", "", false)
		default:
			b.items[slot] = systray.AddMenuItem("", "")
		}
		b.items[slot].Hide()
		go b.forward(ctx, slot, b.items[slot].ClickedCh)
	}
}

func (b *menuBar) forward(ctx context.Context, slot menu.Slot, clicked <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-clicked:
		}
		select {
		case <-ctx.Done():
			return
		case b.clicks <- slot:
		}
	}
}

// show brings the screen from the old menu to the new one: only what differs is touched.
func (b *menuBar) show(old, now menu.Menu) {
	if old.Icon != now.Icon {
		b.icon(now.Icon)
	}
	if old.Tooltip != now.Tooltip {
		systray.SetTooltip(now.Tooltip)
	}
	for slot := range menu.Slots {
		if old.Rows[slot] != now.Rows[slot] {
			showRow(b.items[slot], slot, old.Rows[slot], now.Rows[slot])
		}
	}
}

func showRow(item *systray.MenuItem, slot menu.Slot, old, now menu.Row) {
	if now.Label == "" {
		item.Hide()
		return
	}
	if old.Label != now.Label {
		item.SetTitle(label(now.Label))
	}
	switch {
	case now.Enabled && item.Disabled():
		item.Enable()
	case !now.Enabled && !item.Disabled():
		item.Disable()
	}
	switch {
	case slot.Tick() && now.Ticked && !item.Checked():
		item.Check()
	case slot.Tick() && !now.Ticked && item.Checked():
		item.Uncheck()
	}
	if old.Label == "" {
		item.Show()
	}
}

func (b *menuBar) refresh(m menu.Menu) {
	b.icon(m.Icon)
	systray.SetTooltip(m.Tooltip)
}

func (b *menuBar) icon(name menu.Icon) {
	png, err := resources.Icon(string(name), b.form)
	if err != nil || len(png) == 0 {
		return // an empty one ends the process on macOS; that every icon is there is tested
	}
	if b.form == resources.Template {
		systray.SetTemplateIcon(png, png)
	} else {
		systray.SetIcon(png)
	}
}
