# Deployment with Terraform, see docs/deploy.md. The tests check it against serverless.yml.

terraform {
  required_version = ">= 1.5"
  required_providers {
    tencentcloud = {
      source  = "tencentcloudstack/tencentcloud"
      version = ">= 1.83.16" # July 2026, the first that has tencentcloud_scf_trigger
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

variable "logs" {
  description = "Whether to make a log topic; without one, all lines are lost"
  type        = bool
  default     = true
}

variable "alarm_webhook" {
  description = "URL of the WeCom bot that says if something goes wrong; no alarm if it is empty"
  type        = string
  default     = ""
  sensitive   = true # who knows it can write to the group
}

locals {
  region  = "ap-guangzhou"
  bucket  = "manifests-1250000000" # must exist in that region
  runtime = "Python3.13"
  retries = 2
  zip     = "${path.module}/../build/function.zip"

  cos_trigger = jsonencode({
    event  = "cos:ObjectCreated:*"
    filter = { Prefix = "requests/", Suffix = ".json" }
  })

  # What SCF delivers (document/product/583/60336), and what is searched of the function's own lines.
  log_fields = {
    text = [
      "SCF_FunctionName", "SCF_Namespace", "SCF_RequestId", "SCF_Alias", "SCF_Qualifier",
      "SCF_Level", "SCF_Message", "SCF_Type", "Level", "Event", "Outcome",
    ]
    long   = ["SCF_StartTime", "SCF_LogTime", "SCF_Duration", "SCF_StatusCode", "SCF_RetryNum"]
    double = ["SCF_MemUsage"]
  }
  delimiters = "@&?|#()='\",;:<>[]{}/ \n\t\r\\"

  # What needs somebody's attention:
  alarm = join(" OR ", [
    # a document was rejected, or an image could not be changed;
    "Level:ERROR",
    # SCF gives up an event, since the last run on it left work undone;
    "(SCF_RetryNum:${local.retries} AND Outcome:unfinished)",
    # or crashed, of which the function logs nothing. 200 is success; 202, a run that goes on.
    "(SCF_RetryNum:${local.retries} AND NOT SCF_StatusCode:200 AND NOT SCF_StatusCode:202)",
  ])
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

# The provider would change a function's runtime and a COS trigger in place, which SCF refuses: a
# change of these replaces them.
resource "terraform_data" "runtime" {
  input = local.runtime
}

resource "terraform_data" "cos_trigger" {
  input = local.cos_trigger
}

# There is no argument for initTimeout; SCF's default applies, which is longer.
resource "tencentcloud_scf_function" "steward" {
  name              = "image-steward"
  func_type         = "Event"
  handler           = "index.main_handler"
  runtime           = local.runtime
  role              = tencentcloud_cam_role.run.name
  mem_size          = 128
  timeout           = 900
  enable_public_net = true # the provider's default is false, but the APIs are public
  zip_file          = local_file.code.filename
  cls_logset_id     = one(tencentcloud_cls_logset.log[*].id)
  cls_topic_id      = one(tencentcloud_cls_topic.log[*].id)

  environment = {
    STEWARD_DRY_RUN = "0"
    # who may do what: SECURITY.md
    STEWARD_SOURCES        = "${local.bucket}/requests/=requests+manifests,${local.bucket}/policies/=policies,timer=policies,direct=requests"
    STEWARD_MAX_CHANGES    = "200"
    STEWARD_REGIONS        = "ap-guangzhou,ap-shanghai"
    STEWARD_PROTECTED_TAGS = "cost-*,billing-*"
    STEWARD_JOURNAL        = "${local.bucket}/journal/"
    STEWARD_LOG_LEVEL      = "INFO"
  }

  lifecycle {
    replace_triggered_by = [terraform_data.runtime] # events that wait are lost, see docs/deploy.md
  }
  depends_on = [tencentcloud_cam_role_policy_attachment.run, tencentcloud_cls_index.log]
}

# What follows is gone when the function is replaced, which its id tells. One after the other, as
# SCF refuses a change while it makes another one; the triggers come last, so that no event meets a
# half-made function.

# SCF's defaults, set explicitly: two retries, six hours.
resource "tencentcloud_scf_function_event_invoke_config" "retries" {
  function_name = tencentcloud_scf_function.steward.name

  async_trigger_config {
    msg_ttl = 21600
    retry_config {
      retry_num = local.retries
    }
  }

  lifecycle {
    replace_triggered_by = [tencentcloud_scf_function.steward.id]
  }
}

# Two concurrent runs; zero stops the function, but see docs/deploy.md.
resource "tencentcloud_scf_reserved_concurrency_config" "instances" {
  function_name            = tencentcloud_scf_function.steward.name
  reserved_concurrency_mem = 256

  lifecycle {
    replace_triggered_by = [tencentcloud_scf_function.steward.id]
  }
  depends_on = [tencentcloud_scf_function_event_invoke_config.retries]
}

# Separate resources, since the function's own `triggers` have no argument and no `enable`.
resource "tencentcloud_scf_trigger" "cos" {
  function_name = tencentcloud_scf_function.steward.name
  namespace     = "default"
  type          = "cos"
  trigger_name  = "${local.bucket}.cos.${local.region}.myqcloud.com"
  trigger_desc  = local.cos_trigger
  qualifier     = "$DEFAULT"
  enable        = "OPEN"

  lifecycle {
    replace_triggered_by = [tencentcloud_scf_function.steward.id, terraform_data.cos_trigger]
  }
  depends_on = [tencentcloud_scf_reserved_concurrency_config.instances]
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

  lifecycle {
    replace_triggered_by = [tencentcloud_scf_function.steward.id]
  }
  depends_on = [tencentcloud_scf_trigger.cos]
}

resource "tencentcloud_cls_logset" "log" {
  count       = var.logs ? 1 : 0
  logset_name = "image-steward"
}

resource "tencentcloud_cls_topic" "log" {
  count      = length(tencentcloud_cls_logset.log)
  logset_id  = tencentcloud_cls_logset.log[0].id
  topic_name = "image-steward"
  period     = 30 # days
}

resource "tencentcloud_cls_index" "log" {
  count    = length(tencentcloud_cls_topic.log)
  topic_id = tencentcloud_cls_topic.log[0].id

  rule {
    full_text {
      case_sensitive = false
      tokenizer      = local.delimiters
      contain_z_h    = true
    }

    key_value {
      case_sensitive = false

      dynamic "key_values" {
        for_each = flatten([for type, names in local.log_fields : [for name in names : { name = name, type = type }]])
        content {
          key = key_values.value.name
          value {
            type        = key_values.value.type
            tokenizer   = key_values.value.type == "text" ? local.delimiters : ""
            contain_z_h = key_values.value.type == "text"
            sql_flag    = true # statistics, without which SCF's console shows no runs
          }
        }
      }
    }
  }
}

# For DingTalk and Lark, see CreateWebCallback: their bots need a signature.
resource "tencentcloud_cls_alarm_notice" "bot" {
  count = var.alarm_webhook == "" ? 0 : 1
  name  = "image-steward"
  type  = "Trigger"

  web_callbacks {
    callback_type     = "WeCom"
    url               = var.alarm_webhook
    notice_content_id = "Default-zh"
  }
}

resource "tencentcloud_cls_alarm" "failed" {
  count            = length(tencentcloud_cls_alarm_notice.bot)
  name             = "image-steward"
  alarm_notice_ids = tencentcloud_cls_alarm_notice.bot[*].id
  condition        = "$1.lines > 0"
  trigger_count    = 1
  alarm_period     = 15 # minutes between two messages

  monitor_time {
    type = "Period"
    time = 5
  }

  alarm_targets {
    number            = 1
    logset_id         = one(tencentcloud_cls_logset.log[*].id)
    topic_id          = one(tencentcloud_cls_topic.log[*].id)
    syntax_rule       = 1
    query             = "${local.alarm} | select count(*) as lines"
    start_time_offset = -10 # minutes; more than the period, since lines arrive with a delay
    end_time_offset   = 0
  }

  lifecycle {
    precondition {
      condition     = var.logs
      error_message = "The alarm searches the log: with logs = false, leave out alarm_webhook."
    }
  }
}
