#!/bin/bash
# Takes pictures of the menu on a real desktop without a screen: Xvfb, xfce4-panel, dunst.
#
#   packaging/screenshots.sh DIR
#
# The program is built with the clock and the status of the tests (tray/testdata/main.go), so that the pictures are the
# same every day. Debian: xvfb xfce4-panel xfconf dunst xdotool imagemagick x11-xserver-utils dbus fonts-dejavu-core
# adwaita-icon-theme.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: packaging/screenshots.sh DIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)

# The session: once around everything below, with a bus of its own.
if [ -z "${MAIA_SCREENSHOTS:-}" ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	printf '{"Replace":{"%s/main.go":"%s/tray/testdata/main.go"}}' "$top" "$top" > "$work/overlay.json"
	(cd "$top" && go build -overlay "$work/overlay.json" -o "$work/maia-dr" .)
	export MAIA_SCREENSHOTS=$work XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache XDG_DATA_HOME=$work/data HOME=$work TZ=UTC
	xvfb-run -a -s "-screen 0 900x640x24 -dpi 96" dbus-run-session -- "$0" "$out"
	exit 0
fi

work=$MAIA_SCREENSHOTS
state=$work/state
mkdir -p "$state" "$XDG_CONFIG_HOME/xfce4/xfconf/xfce-perchannel-xml" "$XDG_CONFIG_HOME/dunst" "$XDG_CONFIG_HOME/gtk-3.0"
cat > "$XDG_CONFIG_HOME/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="true"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="28"/>
      <property name="icon-size" type="uint" value="16"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray"><property name="icon-size" type="int" value="16"/><property name="square-icons" type="bool" value="true"/></property>
  </property>
</channel>
XML
printf '[Settings]\ngtk-theme-name=Adwaita\ngtk-icon-theme-name=Adwaita\ngtk-font-name=DejaVu Sans 10\n' > "$XDG_CONFIG_HOME/gtk-3.0/settings.ini"
printf '[global]\nwidth = 420\noffset = 12x40\nfont = DejaVu Sans 10\ntimeout = 0\nforce_xwayland = false\n[urgency_normal]\ntimeout = 0\n' > "$XDG_CONFIG_HOME/dunst/dunstrc"

pids=()
quit() { kill "${pids[@]}" 2> /dev/null || true; }
trap quit EXIT
xsetroot -solid '#3b4a6b'
dunst > "$work/dunst.log" 2>&1 & pids+=($!)
xfce4-panel --disable-wm-check > "$work/panel.log" 2>&1 & pids+=($!)

# status FILE: what the program is to show. Times are those around 09:30 of the day the clock stands at.
now=2025-10-15T09:30:00Z
printf '%s' "$now" > "$work/clock"
status() {
	local activity=idle run=null failure=null onedrive problems='[]' newest restore
	onedrive='{"state":"client_uploaded","path":"/Users/me/OneDrive","sync":{"can_answer":true,"looked_at":"2025-10-15T09:30:00Z","all":{"verdict":"done","files":14},"backups":[{"backup_id":"full_20251015_010012","uploaded":{"at":"2025-10-15T03:31:00Z"}}]}}'
	newest='{"backup_id":"full_20251015_010012","created_at":"2025-10-15T03:00:12Z","stored_bytes":3812000}'
	restore='{"proven":true,"last_full":{"at":"2025-10-12T12:00:00Z","passed":true,"restore_s":252}}'
	case $1 in
		proven) ;;
		neutral) onedrive='{"state":"local_only","path":"/Users/me/OneDrive"}' ;;
		running) activity=running; run='{"kind":"backup","pid":1,"started_at":"2025-10-15T09:29:00Z","phase":"capture","done_bytes":42,"total_bytes":100,"updated_at":"2025-10-15T09:30:00Z"}' ;;
		uploading) onedrive='{"state":"uploading","path":"/Users/me/OneDrive","sync":{"can_answer":true,"waited_s":780,"looked_at":"2025-10-15T09:30:00Z","all":{"verdict":"progressing","files":14,"waiting":11}}}' ;;
		attention) onedrive='{"state":"pending","path":"/Users/me/OneDrive","sync":{"can_answer":true,"waited_s":23000,"looked_at":"2025-10-15T09:30:00Z","all":{"verdict":"blocked","class":"quota","files":14,"waiting":11}}}' ;;
		failed)
			failure='{"kind":"backup","at":"2025-10-15T09:10:00Z","code":"disk_full","error":"back up: no space left on device","hint":"free some space and run the command again; earlier backups are untouched"}'
			problems='[{"code":"disk_full","text":"the last backup failed: back up: no space left on device","hint":"free some space"}]' ;;
		overdue)
			newest='{"backup_id":"full_20251014_010012","created_at":"2025-10-14T02:30:00Z","stored_bytes":3812000}'
			problems='[{"code":"overdue","text":"the newest complete backup is 31 hours old","hint":"run maia-dr backup"}]' ;;
		setup)
			newest=null restore='{"why":"never"}' onedrive='{"state":"unknown","path":"/Users/me/OneDrive"}'
			problems='[{"code":"no_backup","text":"there is no backup yet","hint":""}]' ;;
	esac
	local recent='[]' backups=0 last=null
	if [ "$newest" != null ]; then
		backups=9
		last='{"backup_id":"full_20251015_010012","finished_at":"2025-10-15T03:00:53Z","duration_s":41,"stored_bytes":3812000}'
		recent='[{"backup_id":"full_20251015_010012","created_at":"2025-10-15T03:00:12Z","path":"/x"},{"backup_id":"full_20251014_010012","created_at":"2025-10-14T03:00:11Z","path":"/x"},{"backup_id":"full_20251013_010012","created_at":"2025-10-13T03:00:12Z","path":"/x"},{"backup_id":"full_20251012_010012","created_at":"2025-10-12T03:00:14Z","path":"/x"},{"backup_id":"full_20251011_010012","created_at":"2025-10-11T03:00:12Z","path":"/x"}]'
	fi
	printf '{"Status":{"version":1,"activity":"%s","run":%s,"last_failure":%s,"last_backup":%s,"newest":%s,"backups":%s,"onedrive":%s,"restore":%s,"problems":%s,"log_file":"/l"},"Recent":%s}' \
		"$activity" "$run" "$failure" "$last" "$newest" "$backups" "$onedrive" "$restore" "$problems" "$recent" > "$state/status.json.new"
	mv "$state/status.json.new" "$state/status.json"
	sleep 1.5
}

# picture NAME GEOMETRY: of that part of the screen.
picture() { import -silent -window root -crop "$2" +repage "$out/$1.png"; }

# menu NAME: the open menu with its submenus, and the panel above it, as wide as they are.
menu() {
	import -silent -window root "$work/shot.png"
	local size
	size=$(convert "$work/shot.png" -crop 900x608+0+32 +repage -bordercolor '#3b4a6b' -border 1 -trim -format '%wx%h' info:)
	convert "$work/shot.png" -crop "${size%x*}x$((${size#*x} + 32))+0+0" +repage "$out/$1.png"
}

open_menu() {
	xdotool mousemove 14 14 click 1
	sleep 1
	xdotool mousemove 300 "$1"
	sleep 1
}

close_menu() {
	xdotool key Escape key Escape
	sleep 0.5
	xdotool mousemove 600 400
}

status proven
xsetroot -solid '#3b4a6b'
MAIA_TEST_LOOK=$state MAIA_TEST_CLOCK=$work/clock "$work/maia-dr" > "$work/tray.log" 2>&1 & pids+=($!)
sleep 4
dunstctl close-all
for s in proven neutral running uploading failed attention overdue setup; do
	status "$s"
	picture "icon-$s" 60x28+0+0
	case $s in failed) picture notification 450x90+450+28 ;; esac
	dunstctl close-all
done
convert "$out"/icon-{proven,neutral,running,uploading,attention,failed,overdue,setup}.png -crop 28x28+0+0 +repage +append "$out/icons.png"

status proven
dunstctl close-all
open_menu 430
menu menu-idle
close_menu
open_menu 195
sleep 1
xdotool mousemove 430 195
sleep 1
menu menu-recent
close_menu
status running
open_menu 448
menu menu-running
close_menu
status attention
dunstctl close-all
open_menu 448
menu menu-problem
close_menu
