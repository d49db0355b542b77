#!/usr/bin/env bash
# Builds "Maia Recovery.app" for both processors, with a zip, a disk image and checksums, into dist/.
# usage: make-app.sh VERSION        (1.2.3; 0.0.0-dev for a trial)
#
# On a Mac it is signed: with CODESIGN_IDENTITY ("Developer ID Application: ..."), else ad hoc, which macOS takes for
# another program after each build. With an identity and NOTARY_PROFILE (made by `xcrun notarytool store-credentials`, in
# NOTARY_KEYCHAIN if that is set) it is notarised. On other systems the layout can be looked at: unsigned, without the Keychain and the menu bar.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=${1:?usage: make-app.sh VERSION}
version=${version#v}
identity=${CODESIGN_IDENTITY:--}
profile=${NOTARY_PROFILE:-}
notary=(--keychain-profile "$profile")
if [ -n "${NOTARY_KEYCHAIN:-}" ]; then notary+=(--keychain "$NOTARY_KEYCHAIN"); fi
icon=${APP_ICON:-resources/icons/app.icns}
out=dist
app="$out/Maia Recovery.app"
zip="$out/Maia-Recovery-$version.zip"
image="$out/Maia-Recovery-$version.dmg"

mac=false
if [ "$(uname -s)" = Darwin ]; then mac=true; fi
if [ -n "$profile" ] && [ "$identity" = - ]; then
    echo "make-app: Apple notarises only what is signed with an identity: set CODESIGN_IDENTITY" >&2
    exit 1
fi

# build ARCH CLANG-ARCH
build() {
    local cgo=0 cc=""
    if $mac; then cgo=1 cc="clang -arch $2 -mmacosx-version-min=12.3"; fi
    echo "building for $1"
    GOOS=darwin GOARCH=$1 CGO_ENABLED=$cgo CC=$cc go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/maia-dr-$1" .
}

# sign PATH [OPTION...]
sign() {
    local path=$1
    shift
    if [ "$identity" = - ]; then
        codesign --force --sign - "$@" "$path"
    else
        codesign --force --timestamp --options runtime --sign "$identity" "$@" "$path"
    fi
    codesign --verify --strict --verbose=1 "$path"
}

make_zip() {
    rm -f "$zip"
    go run ./packaging/app zip -out "$zip" "$app"
}

# The application and a link to the folder it goes to.
make_image() {
    local stage="$out/image"
    rm -rf "$stage" "$image"
    mkdir "$stage"
    cp -R "$app" "$stage/"
    ln -s /Applications "$stage/Applications"
    hdiutil create -quiet -volname "Maia Recovery" -srcfolder "$stage" -ov -format UDZO "$image"
    rm -rf "$stage"
    if [ "$identity" != - ]; then sign "$image"; fi
}

mkdir -p "$out"
build arm64 arm64
build amd64 x86_64
go run ./packaging/app bundle -version "$version" -icon "$icon" -out "$out" "$out/maia-dr-arm64" "$out/maia-dr-amd64"
rm -f "$out/maia-dr-arm64" "$out/maia-dr-amd64"

files=("$zip")
if $mac; then
    sign "$app" --identifier com.maia.recovery
    if [ -n "$profile" ]; then
        make_zip
        xcrun notarytool submit "$zip" "${notary[@]}" --wait
        xcrun stapler staple "$app"
    fi
    make_image
    files+=("$image")
else
    echo "make-app: not on a Mac: unsigned, without the Keychain and the menu bar; for looking at the layout only" >&2
fi
make_zip
go run ./packaging/app checksums "${files[@]}" > "$out/SHA256SUMS"
cat "$out/SHA256SUMS"
