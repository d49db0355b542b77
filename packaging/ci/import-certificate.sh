#!/usr/bin/env bash
# Puts a signing certificate and notary credentials into a keychain of their own on a CI Mac, and tells the steps that
# follow of them through $GITHUB_ENV. Without a certificate it does nothing: the build is then signed ad hoc.
# Reads CERTIFICATE (a .p12 in base64), CERTIFICATE_PASSWORD, IDENTITY; NOTARY_KEY (a .p8 in base64), NOTARY_KEY_ID,
# NOTARY_ISSUER.
set -euo pipefail

if [ -z "${CERTIFICATE:-}" ]; then
    echo "no signing certificate: the application will be signed ad hoc"
    exit 0
fi
: "${CERTIFICATE_PASSWORD:?}" "${IDENTITY:?}" "${GITHUB_ENV:?}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 700 "$folder"
keychain="$HOME/Library/Keychains/release.keychain-db"
secret=$(openssl rand -hex 24)

# security takes passwords as arguments only; nobody else is on this machine, and it is thrown away afterwards.
printf '%s' "$CERTIFICATE" | base64 -D > "$folder/certificate.p12"
security create-keychain -p "$secret" "$keychain"
security set-keychain-settings -lut 7200 "$keychain"
security unlock-keychain -p "$secret" "$keychain"
security import "$folder/certificate.p12" -k "$keychain" -P "$CERTIFICATE_PASSWORD" -T /usr/bin/codesign
security set-key-partition-list -S apple-tool:,apple: -s -k "$secret" "$keychain" > /dev/null
security list-keychains -d user -s "$keychain" login.keychain-db
echo "CODESIGN_IDENTITY=$IDENTITY" >> "$GITHUB_ENV"

if [ -n "${NOTARY_KEY:-}" ]; then
    printf '%s' "$NOTARY_KEY" | base64 -D > "$folder/key.p8"
    xcrun notarytool store-credentials maia-release --keychain "$keychain" \
        --key "$folder/key.p8" --key-id "${NOTARY_KEY_ID:?}" --issuer "${NOTARY_ISSUER:?}"
    echo "NOTARY_PROFILE=maia-release" >> "$GITHUB_ENV"
    echo "NOTARY_KEYCHAIN=$keychain" >> "$GITHUB_ENV"
fi
