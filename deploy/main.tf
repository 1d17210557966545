# Deployment with Terraform, see docs/deploy.md. The tests check it against serverless.yml.

terraform {
  required_version = ">= 1.5"
  required_providers {
    tencentcloud = {
      source  = "tencentcloudstack/tencentcloud"
      version = "> 1.82.56" # January 2026; tencentcloud_scf_trigger was added in July
    }
    local = {
      source  = "hashicorp/local"
      version = "~> 2.0"
    }
  }
}

provider "tencentcloud" {
  region = local.region # credentials: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY
}

locals {
  region = "ap-guangzhou"
  bucket = "manifests-1250000000" # must exist in that region
  zip    = "${path.module}/../build/function.zip"
}

# The provider detects changes of the zip's path, not of its content: so the path contains a hash.
resource "local_file" "code" {
  filename       = "${path.module}/../build/function-${substr(filesha256(local.zip), 0, 12)}.zip"
  content_base64 = filebase64(local.zip)
}

resource "tencentcloud_cam_role" "run" {
  name     = "image-steward"
  document = file("${path.module}/trust.json")
}

resource "tencentcloud_cam_policy" "run" {
  name     = "image-steward"
  document = file("${path.module}/policy.json")
}

resource "tencentcloud_cam_role_policy_attachment" "run" {
  role_id   = tencentcloud_cam_role.run.id
  policy_id = tencentcloud_cam_policy.run.id
}

# There is no argument for initTimeout; SCF's default applies, which is longer.
resource "tencentcloud_scf_function" "steward" {
  name              = "image-steward"
  func_type         = "Event"
  handler           = "index.main_handler"
  runtime           = "Python3.13" # cannot be changed after creation, see serverless.yml
  role              = tencentcloud_cam_role.run.name
  mem_size          = 128
  timeout           = 900
  enable_public_net = true # the provider's default is false, but the APIs are public
  zip_file          = local_file.code.filename

  # cls_logset_id = "…" # log delivery
  # cls_topic_id  = "…"

  environment = {
    STEWARD_DRY_RUN        = "0"
    # who may do what: SECURITY.md
    STEWARD_SOURCES        = "${local.bucket}/requests/=requests+manifests,${local.bucket}/policies/=policies,timer=policies,direct=requests"
    STEWARD_MAX_CHANGES    = "200"
    STEWARD_REGIONS        = "ap-guangzhou,ap-shanghai"
    STEWARD_PROTECTED_TAGS = "cost-*,billing-*"
    STEWARD_JOURNAL        = "${local.bucket}/journal/"
    STEWARD_LOG_LEVEL      = "INFO"
  }

  depends_on = [tencentcloud_cam_role_policy_attachment.run]
}

# Separate resources, since the function's own `triggers` have no argument and no `enable`.
resource "tencentcloud_scf_trigger" "cos" {
  function_name = tencentcloud_scf_function.steward.name
  namespace     = "default"
  type          = "cos"
  trigger_name  = "${local.bucket}.cos.${local.region}.myqcloud.com"
  trigger_desc = jsonencode({
    event  = "cos:ObjectCreated:*"
    filter = { Prefix = "requests/", Suffix = ".json" }
  })
  qualifier = "$DEFAULT"
  enable    = "OPEN"
}

resource "tencentcloud_scf_trigger" "timer" {
  function_name   = tencentcloud_scf_function.steward.name
  namespace       = "default"
  type            = "timer"
  trigger_name    = "nightly"
  trigger_desc    = "0 17 3 * * * *" # Beijing time
  custom_argument = jsonencode({ Document = "cos://${local.bucket}/policies/nightly.json" })
  qualifier       = "$DEFAULT"
  enable          = "OPEN"
}

# SCF's defaults, set explicitly: two retries, six hours.
resource "tencentcloud_scf_function_event_invoke_config" "retries" {
  function_name = tencentcloud_scf_function.steward.name

  async_trigger_config {
    msg_ttl = 21600
    retry_config {
      retry_num = 2
    }
  }
}

# Two concurrent runs; zero stops the function.
resource "tencentcloud_scf_reserved_concurrency_config" "instances" {
  function_name            = tencentcloud_scf_function.steward.name
  reserved_concurrency_mem = 256
}
