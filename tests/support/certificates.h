/* Certificates for tests: an authority, and what it has signed, as PEM text made on the spot. P-256, valid for a day. */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

typedef struct identity {
  EVP_PKEY *key;
  X509 *certificate;
  char pem[4096], key_pem[1024]; /* zero-terminated */
} identity;

static void identity_text(char *out, size_t most, BIO *b) {
  int n = BIO_read(b, out, (int)most - 1);
  if (n < 0) abort();
  out[n] = 0;
  BIO_free(b);
}

/* names: as of subjectAltName, "DNS:localhost,IP:127.0.0.1"; NULL: an authority. by: who signs; NULL: itself. */
static void identity_make(identity *out, const char *common_name, const char *names, const identity *by) {
  static long serial;
  X509 *x = X509_new();
  X509_EXTENSION *e;
  X509V3_CTX ctx;
  BIO *b;
  out->key = EVP_EC_gen("P-256");
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400);
  X509_set_pubkey(x, out->key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
  X509_set_issuer_name(x, by ? X509_get_subject_name(by->certificate) : X509_get_subject_name(x));
  X509V3_set_ctx(&ctx, by ? by->certificate : x, x, NULL, NULL, 0);
  e = X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, names ? "critical,CA:FALSE" : "critical,CA:TRUE");
  X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
  if (names) {
    e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, names);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
  }
  if (X509_sign(x, by ? by->key : out->key, EVP_sha256()) <= 0) abort();
  out->certificate = x;
  b = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(b, x);
  identity_text(out->pem, sizeof out->pem, b);
  b = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(b, out->key, NULL, NULL, 0, NULL, NULL);
  identity_text(out->key_pem, sizeof out->key_pem, b);
}

static void identity_free(identity *i) {
  X509_free(i->certificate);
  EVP_PKEY_free(i->key);
}

#endif
